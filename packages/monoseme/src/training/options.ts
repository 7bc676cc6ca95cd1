import { MonosemeError } from '../errors.ts';

/** Everything that decides the result of a training run, beside the data. Fractions are of the number of steps. */
export interface TrainOptions {
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
  readonly learningRate: number;
  readonly learningRateWarmUp: number;
  /** The learning rate falls linearly to 0 over this last fraction. */
  readonly learningRateDecay: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  /** `expected-norm`: inputs times √dIn / E‖x‖ while training, folded into the biases at the end. */
  readonly normalize: 'none' | 'expected-norm';
  /** `tied`: the encoder starts as a copy of the decoder. `kaiming`: U(±1/√fan-in), as PyTorch's linear layers. */
  readonly encoderInit: 'tied' | 'kaiming';
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
  /** A latent counts as dead when it has not fired in the last so many tokens. */
  readonly deadAfterTokens: number;
  /** Rows mixed together in memory. */
  readonly bufferRows: number;
  readonly seed: number;
  /** A checkpoint every so many steps, and at the end. */
  readonly checkpointEvery: number;
  /** A line of metrics every so many steps. */
  readonly logEvery: number;
}

/** Defaults for short runs on one machine. */
export const DEFAULT_OPTIONS: TrainOptions = {
  dSae: 4096,
  batchRows: 1024,
  tokens: 1_500_000,
  l1Coefficient: 2.5,
  l1Scale: 'sum',
  l1WarmUp: 0.1,
  learningRate: 2e-3,
  learningRateWarmUp: 0.02,
  learningRateDecay: 0.2,
  beta1: 0.9,
  beta2: 0.99,
  epsilon: 1e-8,
  normalize: 'expected-norm',
  encoderInit: 'tied',
  decoderBiasInit: 'geometric-median',
  unitNormDecoder: true,
  resampleAt: [0.25, 0.4, 0.55, 0.7],
  resampleWindow: 0.1,
  resampleInputs: 65_536,
  deadAfterTokens: 10_000_000,
  bufferRows: 131_072,
  seed: 0,
  checkpointEvery: 1000,
  logEvery: 10,
};

/**
 * Settings of published recipes. `bricken-2023` is the paper's: what it gives in numbers, and where it is silent
 * (learning rate, betas) the values of the replications that worked.
 */
export const PRESETS: Readonly<Record<string, Partial<TrainOptions>>> = {
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
};

/** λ in the `sum` convention. */
export function l1CoefficientAsSum(options: TrainOptions, dIn: number): number {
  return options.l1Scale === 'paper' ? options.l1Coefficient * dIn : options.l1Coefficient;
}

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

const RULES: readonly Rule[] = [
  ['dSae', ...whole(1, 1 << 24)],
  ['batchRows', ...whole(1, 1 << 20)],
  ['tokens', ...whole(1, Number.MAX_SAFE_INTEGER)],
  ['l1Coefficient', (v) => Number.isFinite(v) && v >= 0, 'a finite number of at least 0'],
  ['l1WarmUp', ...fraction],
  ['learningRate', ...positive],
  ['learningRateWarmUp', ...fraction],
  ['learningRateDecay', ...fraction],
  ['beta1', (v) => v >= 0 && v < 1, 'a number from 0 to below 1'],
  ['beta2', (v) => v >= 0 && v < 1, 'a number from 0 to below 1'],
  ['epsilon', ...positive],
  ['resampleWindow', ...fraction],
  ['resampleInputs', ...whole(1, 1 << 30)],
  ['deadAfterTokens', ...whole(1, Number.MAX_SAFE_INTEGER)],
  ['bufferRows', ...whole(1, 1 << 28)],
  ['seed', ...whole(0, 2 ** 32 - 1)],
  ['checkpointEvery', ...whole(1, 1 << 24)],
  ['logEvery', ...whole(1, 1 << 24)],
];

/** @throws {MonosemeError} ERR_OPTION naming the first option that cannot work, and its value. */
export function checkOptions(options: TrainOptions): TrainOptions {
  for (const [name, isGood, takes] of RULES) {
    const value = options[name] as number;
    if (!isGood(value)) throw new MonosemeError('ERR_OPTION', `${name} is ${value}.`, `It takes ${takes}.`);
  }
  for (const at of options.resampleAt) {
    if (!(at > 0 && at < 1))
      throw new MonosemeError('ERR_OPTION', `resampleAt holds ${at}.`, 'It takes fractions between 0 and 1.');
  }
  if (options.tokens < options.batchRows)
    throw new MonosemeError(
      'ERR_OPTION',
      `tokens is ${options.tokens}, less than one batch of ${options.batchRows} rows.`,
      'Give more tokens or a smaller batch.',
    );
  return options;
}
