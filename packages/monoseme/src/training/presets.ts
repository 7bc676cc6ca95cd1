import { architectureNamed } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { nearestNames } from '../nearest-names.ts';
import {
  DEFAULT_OPTIONS,
  expectSettingsOf,
  NEUTRAL_SETTINGS,
  OPTION_NAMES,
  type TrainOptions,
} from './options.ts';

/**
 * Settings of published recipes, named after where they come from. Each gives what its source gives in numbers; where
 * the source is silent, the values of replications that worked or of the peers' trainers. Warm-ups and decays that a source
 * counts in steps are the share of a run of `tokens` that they are there.
 *
 * Deviation  `expected-norm` makes E‖x‖ = √dIn, where Gemma Scope and dictionary_learning divide by √E‖x‖²; directions start
 *            as `initialDirections` says; what else a recipe leaves out stands beside it and with its architecture
 */
export const PRESETS: Readonly<Record<string, Partial<TrainOptions>>> = {
  /** Bricken et al. 2023. Learning rate and betas are not in the text. */
  'bricken-2023': {
    batchRows: 8192,
    tokens: 8_192_000_000,
    l1Coefficient: 0.004,
    l1Scale: 'paper',
    l1WarmUp: 0,
    learningRate: 1e-4,
    learningRateWarmUp: 0,
    learningRateDecay: 0,
    beta2: 0.999,
    normalize: 'none',
    encoderInit: 'kaiming',
    decoderBiasInit: 'geometric-median',
    resampleAt: [0.025, 0.05, 0.075, 0.1],
    resampleWindow: 0.0125,
    resampleInputs: 819_200,
    checkpointEvery: 10_000,
    logEvery: 100,
  },
  /** Conerly et al. 2024 and Templeton et al. 2024; batch and tokens as in replications. */
  'april-2024': {
    architecture: 'april-2024',
    batchRows: 4096,
    tokens: 400_000_000,
    l1Coefficient: 5,
    l1WarmUp: 0.05,
    learningRate: 5e-5,
    learningRateWarmUp: 0,
    learningRateDecay: 0.2,
    beta2: 0.999,
    gradientClipNorm: 1,
    normalize: 'expected-norm',
    encoderInit: 'tied',
    decoderBiasInit: 'zeros',
    decoderNorm: 0.1,
  },
  /** Gao et al. 2024. Theirs counts an activation of less than 0.001 as none when it looks for dead latents. */
  'gao-2024': {
    architecture: 'topk',
    dSae: 32_768,
    batchRows: 131_072,
    tokens: 8_192_000_000,
    k: 32,
    kAux: 256,
    auxCoefficient: 1 / 32,
    learningRate: 1e-4,
    learningRateWarmUp: 0,
    learningRateDecay: 0,
    beta2: 0.999,
    epsilon: 6.25e-10,
    normalize: 'layer-norm',
    decoderBiasInit: 'geometric-median',
    deadAfterTokens: 10_000_000,
    bufferRows: 524_288,
  },
  /**
   * Lieberum et al. 2024. Their ε, θ (0.001) and λ (6e-4) are for inputs of norm 1: times √dIn and dIn, for dIn 2304. The
   * learning rate is the same, so that biases, which are √dIn times as large here, move by less of themselves. It starts
   * at 0, theirs at a tenth.
   */
  'gemma-scope': {
    architecture: 'jumprelu',
    dSae: 16_384,
    batchRows: 4096,
    tokens: 4_000_000_000,
    l0Coefficient: 1.4,
    l1WarmUp: 0.01,
    bandwidth: 0.048,
    windowShare: 1,
    initialThreshold: 0.048,
    auxCoefficient: 0,
    learningRate: 7e-5,
    learningRateWarmUp: 0.001,
    learningRateDecay: 0,
    learningRateShape: 'cosine',
    beta1: 0,
    beta2: 0.999,
    normalize: 'expected-norm',
    decoderBiasInit: 'zeros',
  },
  /** Anthropic, January 2025; coefficients and sizes as in replications. Latents start on 10,000/dSae of the inputs. */
  'january-2025': {
    architecture: 'january-2025',
    dSae: 65_536,
    batchRows: 32_768,
    tokens: 8_192_000_000,
    l0Coefficient: 10,
    l1WarmUp: 1,
    tanhScale: 4,
    bandwidth: 2,
    windowShare: 1,
    initialThreshold: 0.1,
    preActCoefficient: 3e-6,
    initialDensity: 10_000 / 65_536,
    learningRate: 2e-4,
    learningRateWarmUp: 0,
    learningRateDecay: 0.2,
    beta2: 0.999,
    gradientClipNorm: 1,
    normalize: 'expected-norm',
    decoderBiasInit: 'zeros',
    bufferRows: 524_288,
  },
  /** Bussmann et al. 2024. */
  'batch-topk': {
    architecture: 'batchtopk',
    dSae: 12_288,
    batchRows: 4096,
    tokens: 1_000_000_000,
    k: 32,
    byRow: 0,
    kAux: 512,
    auxCoefficient: 1 / 32,
    learningRate: 3e-4,
    learningRateWarmUp: 0,
    learningRateDecay: 0,
    beta2: 0.99,
    normalize: 'layer-norm',
    decoderBiasInit: 'zeros',
    deadAfterTokens: 20_480,
  },
  /**
   * Bussmann et al. 2025, with the training settings of SAEBench's dictionaries. AuxK takes as many dead latents as are
   * active, theirs half as many as there are inputs; the threshold remembers 100 batches, theirs 1,000.
   */
  matryoshka: {
    architecture: 'matryoshka',
    dSae: 65_536,
    batchRows: 2048,
    tokens: 500_000_000,
    k: 40,
    auxCoefficient: 1 / 32,
    byRow: 0,
    prefixes: [1 / 32, 3 / 32, 7 / 32, 15 / 32, 1],
    prefixPower: 0,
    learningRate: 3e-4,
    learningRateWarmUp: 0.004,
    learningRateDecay: 0.2,
    beta2: 0.999,
    gradientClipNorm: 1,
    normalize: 'expected-norm',
    deadAfterTokens: 10_000_000,
  },
};

/**
 * Complete options: defaults, those of the architecture, the preset, then what was given.
 *
 * @throws {MonosemeError} ERR_OPTION for an unknown option (naming the nearest), an unknown preset or architecture, or
 *   options that contradict each other (naming both)
 */
export function resolveOptions(given: Partial<TrainOptions>, preset?: string): TrainOptions {
  expectKnownOptions(given);
  const recipe = preset === undefined ? {} : presetNamed(preset);
  if (preset !== undefined && given.architecture !== undefined) {
    const { architecture = 'standard' } = recipe;
    if (given.architecture !== architecture)
      throw new MonosemeError(
        'ERR_OPTION',
        `architecture is ${given.architecture}, but the preset ${preset} is of ${architecture}.`,
        'Leave one of them out.',
      );
  }
  const architecture = architectureNamed(given.architecture ?? recipe.architecture ?? 'standard');
  expectSettingsOf(architecture.name, given);
  const defaults =
    architecture.name === 'standard'
      ? DEFAULT_OPTIONS
      : { ...DEFAULT_OPTIONS, ...NEUTRAL_SETTINGS, ...architecture.settings, ...architecture.defaults };
  return { ...defaults, architecture: architecture.name, ...recipe, ...given } as TrainOptions;
}

function presetNamed(name: string): Partial<TrainOptions> {
  if (Object.hasOwn(PRESETS, name)) return PRESETS[name];
  const names = Object.keys(PRESETS);
  throw new MonosemeError(
    'ERR_OPTION',
    `There is no preset ${name}; the nearest is ${nearestNames(name, names)[0]}.`,
    `Choose from: ${names.join(', ')}.`,
  );
}

function expectKnownOptions(given: Partial<TrainOptions>): void {
  for (const key of Object.keys(given)) {
    if (OPTION_NAMES.has(key)) continue;
    const [nearest] = nearestNames(key, OPTION_NAMES);
    throw new MonosemeError('ERR_OPTION', `There is no option ${key}.`, `The nearest is ${nearest}.`);
  }
}
