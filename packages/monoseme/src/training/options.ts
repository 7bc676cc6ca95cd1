import { type ArchitectureSettings, ARCHITECTURES, architectureNamed } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';

/** Everything that decides the result of a training run, beside the data. Fractions are of the number of steps. */
export interface TrainOptions extends ArchitectureSettings {
  /** One of the table of architectures; it says which of the settings below count. */
  readonly architecture: string;
  /** Number of latents. */
  readonly dSae: number;
  /** Rows (tokens) a step. */
  readonly batchRows: number;
  /** Tokens to train on, at most; the run takes ⌊tokens / batchRows⌋ steps. */
  readonly tokens: number;
  /** λ, on the scale that `l1Scale` names. */
  readonly l1Coefficient: number;
  /**
   * `sum`: the loss is ‖x − x̂‖² + λ‖f‖₁, mean over the batch. `paper`: the squared error is a mean over the dIn
   * elements, so λ counts dIn times as much (Bricken et al. 2023).
   */
  readonly l1Scale: 'sum' | 'paper';
  /** λ grows linearly from 0 over this fraction. */
  readonly l1WarmUp: number;
  /** L0 that λ is steered to; the coefficient given is where it starts. */
  readonly targetL0: number | undefined;
  /** β of running averages of the weights, which are then what is saved; 0 for none. */
  readonly emaDecay: number;
  readonly learningRate: number;
  readonly learningRateWarmUp: number;
  /** The learning rate falls to 0 over this last fraction. */
  readonly learningRateDecay: number;
  /** How it rises and falls: in a line or as half a cosine. */
  readonly learningRateShape: 'linear' | 'cosine';
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** Gradients longer than this, over all parameters together, are shortened to it. */
  readonly gradientClipNorm: number | undefined;
  /** `bf16` halves the memory of Adam's moments of the matrices; rounding is right on average over the steps. */
  readonly moments: 'f32' | 'bf16';
  /**
   * `expected-norm`: inputs times √dIn / E‖x‖ while training, folded into the biases at the end. `layer-norm`: every row
   * minus its mean, by its standard deviation (Gao et al. 2024), which the dictionary then does itself.
   */
  readonly normalize: 'none' | 'expected-norm' | 'layer-norm';
  /** Where W_dec and W_enc start: see `initialDirections`. */
  readonly decoderInit: 'random' | 'data' | 'uniform';
  readonly encoderInit: 'tied' | 'scaled' | 'kaiming';
  /** Where b_dec starts; `none` holds it at zero, which shows what the bias is worth. */
  readonly decoderBiasInit: 'geometric-median' | 'mean' | 'zeros' | 'none';
  /** Off only to measure what the constraint is worth. */
  readonly unitNormDecoder: boolean;
  /** When dead latents are resampled (Bricken et al. 2023, "neuron resampling"). Empty: never. */
  readonly resampleAt: readonly number[];
  /** A latent is resampled when it has not fired within this fraction before. */
  readonly resampleWindow: number;
  /** Inputs whose loss decides where resampled latents start, at most. */
  readonly resampleInputs: number;
  /** When latents that stand for two features are split (`splitLatents_`). Empty: never. */
  readonly splitAt: readonly number[];
  /** A latent counts as dead when it has not fired in the last so many tokens. */
  readonly deadAfterTokens: number;
  /** Rows mixed together in memory. */
  readonly bufferRows: number;
  readonly seed: number;
  /** A checkpoint every so many steps, and when the run is interrupted. */
  readonly checkpointEvery: number;
  /** A line of metrics every so many steps. */
  readonly logEvery: number;
}

/** Defaults of the standard architecture for short runs on one machine; `resolveOptions` gives those of the others. */
export const DEFAULT_OPTIONS: TrainOptions = {
  architecture: 'standard',
  dSae: 4096,
  batchRows: 1024,
  tokens: 1_500_160,
  l1Coefficient: 2.5,
  l1Scale: 'sum',
  l1WarmUp: 0.1,
  targetL0: undefined,
  emaDecay: 0,
  learningRate: 2e-3,
  learningRateWarmUp: 0.02,
  learningRateDecay: 0.2,
  learningRateShape: 'linear',
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  gradientClipNorm: undefined,
  moments: 'f32',
  normalize: 'expected-norm',
  decoderInit: 'random',
  encoderInit: 'tied',
  decoderBiasInit: 'geometric-median',
  unitNormDecoder: true,
  resampleAt: [0.25, 0.4, 0.55, 0.7],
  resampleWindow: 0.1,
  resampleInputs: 65_536,
  splitAt: [],
  deadAfterTokens: 500_000,
  bufferRows: 131_072,
  seed: 0,
  checkpointEvery: 1000,
  logEvery: 10,
};

/** The names of all options, also of those that only some architectures take. */
export const OPTION_NAMES: ReadonlySet<string> = new Set(
  [DEFAULT_OPTIONS, ...ARCHITECTURES.map(({ settings }) => settings)].flatMap(Object.keys),
);

/** λ of the architecture's penalty, in the `sum` convention; 0 where it has none. `width`: of what is reconstructed. */
export function penaltyCoefficient(options: TrainOptions, width: number): number {
  const { coefficient } = architectureNamed(options.architecture);
  if (coefficient === undefined) return 0;
  if (coefficient === 'l0Coefficient') return options.l0Coefficient as number;
  return options.l1Scale === 'paper' ? options.l1Coefficient * width : options.l1Coefficient;
}

/** What may be said where a setting is a word. */
export const CHOICES = {
  l1Scale: ['sum', 'paper'],
  learningRateShape: ['linear', 'cosine'],
  moments: ['f32', 'bf16'],
  normalize: ['none', 'expected-norm', 'layer-norm'],
  decoderInit: ['random', 'data', 'uniform'],
  encoderInit: ['tied', 'scaled', 'kaiming'],
  decoderBiasInit: ['geometric-median', 'mean', 'zeros', 'none'],
} as const satisfies Partial<Record<keyof TrainOptions, readonly string[]>>;

type Rule = readonly [keyof TrainOptions, (value: number) => boolean, string];

const whole = (min: number, max: number): [(v: number) => boolean, string] => [
  (v) => Number.isInteger(v) && v >= min && v <= max,
  `a whole number from ${min} to ${max}`,
];
const fraction: [(v: number) => boolean, string] = [(v) => v >= 0 && v <= 1, 'a number from 0 to 1'];
const positive: [(v: number) => boolean, string] = [
  (v) => Number.isFinite(v) && v > 0,
  'a finite number above 0',
];

/** Nested dictionaries at most: a step holds an error of the batch for each. */
const MOST_PREFIXES = 256;

const RULES: readonly Rule[] = [
  ['dSae', ...whole(1, 1 << 24)],
  ['batchRows', ...whole(1, 1 << 20)],
  ['tokens', ...whole(1, Number.MAX_SAFE_INTEGER)],
  ['l1Coefficient', (v) => Number.isFinite(v) && v >= 0, 'a finite number of at least 0'],
  ['l1WarmUp', ...fraction],
  ['learningRate', ...positive],
  ['learningRateWarmUp', ...fraction],
  ['learningRateDecay', ...fraction],
  ['emaDecay', (v) => v >= 0 && v < 1, 'a number from 0 to below 1'],
  ['targetL0', (v) => v === undefined || (Number.isFinite(v) && v > 0), 'a finite number above 0'],
  ['nPrefixes', ...whole(1, MOST_PREFIXES)],
  ['tanhScale', ...positive],
  ['preActCoefficient', (v) => Number.isFinite(v) && v >= 0, 'a finite number of at least 0'],
  ['initialDensity', (v) => v > 0 && v < 1, 'a number between 0 and 1'],
  ['beta1', (v) => v >= 0 && v < 1, 'a number from 0 to below 1'],
  ['beta2', (v) => v >= 0 && v < 1, 'a number from 0 to below 1'],
  ['epsilon', ...positive],
  ['gradientClipNorm', (v) => v === undefined || (Number.isFinite(v) && v > 0), 'a finite number above 0'],
  ['resampleWindow', ...fraction],
  ['resampleInputs', ...whole(1, 1 << 30)],
  ['deadAfterTokens', ...whole(1, Number.MAX_SAFE_INTEGER)],
  ['bufferRows', ...whole(1, 1 << 28)],
  ['l0Coefficient', (v) => Number.isFinite(v) && v >= 0, 'a finite number of at least 0'],
  ['k', ...whole(1, 1 << 24)],
  ['kWarmUp', ...fraction],
  ['initialK', ...whole(0, 1 << 24)],
  ['kAux', ...whole(0, 1 << 24)],
  ['auxCoefficient', (v) => Number.isFinite(v) && v >= 0, 'a finite number of at least 0'],
  ['faintBelow', (v) => Number.isFinite(v) && v >= 0, 'a finite number of at least 0'],
  ['bandwidth', ...positive],
  ['windowShare', (v) => v > 0 && v <= 1, 'a number above 0, to 1'],
  ['initialThreshold', ...positive],
  ['byRow', (v) => v >= 0 && v <= 1, 'a number from 0 to 1'],
  ['prefixPower', (v) => v >= 0 && v <= 8, 'a number from 0 to 8'],
  ['finalPower', (v) => v > 0 && v <= 1, 'a number above 0, to 1'],
  ['decoderNorm', ...positive],
  ['seed', ...whole(0, 2 ** 32 - 1)],
  ['checkpointEvery', ...whole(1, 1 << 24)],
  ['logEvery', ...whole(1, 1 << 24)],
];

/** @throws {MonosemeError} ERR_OPTION naming the first option that cannot work, and its value. */
export function checkOptions(options: TrainOptions): TrainOptions {
  const taken = architectureNamed(options.architecture).settings;
  expectSettingsOf(options.architecture, options);
  for (const [name, isGood, takes] of RULES) {
    const value = options[name];
    if (value === undefined && !Object.hasOwn(taken, name)) continue;
    if (!isGood(value as number))
      throw new MonosemeError('ERR_OPTION', `${name} is ${value}.`, `It takes ${takes}.`);
  }
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = options[name as keyof typeof CHOICES];
    if (!(choices as readonly string[]).includes(value))
      throw new MonosemeError('ERR_OPTION', `${name} is ${value}.`, `It takes ${choices.join(' or ')}.`);
  }
  for (const name of ['resampleAt', 'splitAt'] as const) {
    const wrong = options[name].find((at) => !(at > 0 && at < 1));
    if (wrong !== undefined)
      throw new MonosemeError('ERR_OPTION', `${name} holds ${wrong}.`, 'It takes fractions between 0 and 1.');
  }
  expectPrefixes(options.prefixes);
  expectStart(options);
  expectCompatible(options);
  for (const name of ['k', 'initialK'] as const) {
    const value = options[name];
    if (value !== undefined && value > options.dSae)
      throw new MonosemeError(
        'ERR_OPTION',
        `${name} is ${value}, more than the ${options.dSae} latents of dSae.`,
        `Give a smaller ${name} or a larger dSae.`,
      );
  }
  if (options.tokens < options.batchRows)
    throw new MonosemeError(
      'ERR_OPTION',
      `tokens is ${options.tokens}, less than one batch of ${options.batchRows} rows.`,
      'Give more tokens or a smaller batchRows.',
    );
  return options;
}

/** What a setting is where the architecture does not take it, for those that every run has. */
export const NEUTRAL_SETTINGS = {
  l1Coefficient: 0,
  l1Scale: 'sum',
  l1WarmUp: 0,
  resampleAt: [],
  resampleWindow: 0,
  resampleInputs: 1,
  splitAt: [],
} as const;

/**
 * Refuse settings that the architecture does not take, such as an L1 coefficient for TopK.
 *
 * @throws {MonosemeError} ERR_OPTION naming both
 */
export function expectSettingsOf(name: string, given: Partial<TrainOptions>): void {
  const { settings } = architectureNamed(name);
  for (const key of new Set(ARCHITECTURES.flatMap((architecture) => Object.keys(architecture.settings)))) {
    const value = given[key as keyof TrainOptions];
    const neutral = NEUTRAL_SETTINGS[key as keyof typeof NEUTRAL_SETTINGS] as unknown;
    if (Object.hasOwn(settings, key) || value === undefined || String(value) === String(neutral)) continue;
    const takers = ARCHITECTURES.filter((architecture) => Object.hasOwn(architecture.settings, key));
    throw new MonosemeError(
      'ERR_OPTION',
      `architecture is ${name}, which takes no ${key}, but ${key} is ${value}.`,
      `Leave ${key} out, or choose ${takers.map((architecture) => architecture.name).join(', ')}.`,
    );
  }
}

/** A decoder direction of a transcoder's target says nothing about its input, but the inputs of the same tokens do. */
function expectStart({ architecture, decoderInit, encoderInit }: TrainOptions): void {
  if (architectureNamed(architecture).rows !== 'input-and-target') return;
  if (encoderInit === 'kaiming' || decoderInit === 'data') return;
  throw new MonosemeError(
    'ERR_OPTION',
    `architecture is ${architecture}, whose input is not its target, but encoderInit is ${encoderInit}.`,
    'Choose encoderInit kaiming, or decoderInit data.',
  );
}

function expectCompatible(options: TrainOptions): void {
  const { architecture, targetL0, normalize, initialK, kWarmUp, dSae } = options;
  if (targetL0 !== undefined && targetL0 > dSae)
    throw new MonosemeError(
      'ERR_OPTION',
      `targetL0 is ${targetL0}, more than the ${dSae} latents of dSae.`,
      'Give a smaller targetL0 or a larger dSae.',
    );
  if (initialK && kWarmUp === 0)
    throw new MonosemeError(
      'ERR_OPTION',
      `initialK is ${initialK}, but kWarmUp is 0, so k is never another.`,
      'Give kWarmUp too, a fraction of the run.',
    );
  const { coefficient, rows } = architectureNamed(architecture);
  if (targetL0 !== undefined && coefficient === undefined)
    throw new MonosemeError(
      'ERR_OPTION',
      `targetL0 is ${targetL0}, but architecture is ${architecture}, which has no penalty to steer.`,
      'Give k instead.',
    );
  const starts = coefficient && options[coefficient];
  if (targetL0 !== undefined && starts === 0)
    throw new MonosemeError(
      'ERR_OPTION',
      `targetL0 is ${targetL0}, but ${coefficient} is 0, which no factor steers.`,
      `Give a ${coefficient} above 0 to start from.`,
    );
  if (normalize === 'layer-norm' && rows !== undefined)
    throw new MonosemeError(
      'ERR_OPTION',
      `normalize is layer-norm, but architecture is ${architecture}, which reads several hook points.`,
      'Choose expected-norm or none.',
    );
}

function expectPrefixes(prefixes: readonly number[] | undefined): void {
  if (prefixes === undefined) return;
  const isAscending = prefixes.every((end, i) => end > (prefixes[i - 1] ?? 0));
  if (isAscending && prefixes.at(-1) === 1 && prefixes.length <= MOST_PREFIXES) return;
  throw new MonosemeError(
    'ERR_OPTION',
    `prefixes is ${prefixes.join(',')}.`,
    `It takes up to ${MOST_PREFIXES} ascending fractions of dSae above 0, the last 1.`,
  );
}
