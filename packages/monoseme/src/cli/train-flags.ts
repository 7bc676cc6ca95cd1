import { type Command, InvalidArgumentError } from 'commander';
import { ARCHITECTURES, architectureNamed } from '../dictionary/index.ts';
import {
  checkOptions,
  CHOICES,
  DEFAULT_OPTIONS,
  PRESETS,
  resolveOptions,
  type TrainOptions,
  withSpelling,
} from '../training/index.ts';
import { flagOf, numberListOption, numberOption } from './options.ts';

type Flag = readonly [keyof TrainOptions, string, (text: string) => unknown];

/** One row an option of training, as the help groups them; the flag is the kebab-case form of the name. */
const GROUPS: Readonly<Record<string, readonly Flag[]>> = {
  'Training:': [
    [
      'architecture',
      'how it is sparse; monoseme architectures lists all',
      (name) => architectureNamed(name).name,
    ],
    ['dSae', 'number of latents', numberOption],
    ['tokens', 'tokens to train on', numberOption],
    ['batchRows', 'tokens a step', numberOption],
    ['bufferRows', 'activations mixed together in memory', numberOption],
    ['seed', 'seed of everything random', numberOption],
    ['checkpointEvery', 'steps between checkpoints', numberOption],
    ['logEvery', 'steps between lines of training/metrics.jsonl', numberOption],
  ],
  'Sparsity:': [
    ['targetL0', 'active latents a token that the penalty is steered to', numberOption],
    ['l1Coefficient', 'weight λ of the L1 penalty', numberOption],
    ['l1Scale', 'sum (error summed over the elements) or paper (averaged)', oneOf(...CHOICES.l1Scale)],
    ['l1WarmUp', 'fraction of the run over which λ (L1 or L0) grows from 0', numberOption],
    ['finalPower', 'exponent of the Lp penalty at the end', numberOption],
    ['l0Coefficient', 'weight of the L0 penalty, for inputs with E‖x‖ = √d_in', numberOption],
    ['bandwidth', 'window of a threshold in which it learns, for inputs with E‖x‖ = √d_in', numberOption],
    [
      'windowShare',
      'share of the rows whose silent latents in that window stand for those of all',
      numberOption,
    ],
    ['initialThreshold', 'where thresholds start, for inputs with E‖x‖ = √d_in', numberOption],
    ['initialDensity', 'share of the inputs on which each latent fires at the start', numberOption],
    ['tanhScale', 'steepness of the tanh penalty, for inputs with E‖x‖ = √d_in', numberOption],
    ['preActCoefficient', 'weight of the pull on silent latents, for inputs with E‖x‖ = √d_in', numberOption],
    ['k', 'latents kept of each row (topk), or of each row on average (batchtopk, matryoshka)', numberOption],
    ['kWarmUp', 'fraction of the run over which k goes from initial-k to k', numberOption],
    ['initialK', 'k at the start of that (0: as many as there are inputs)', numberOption],
    [
      'byRow',
      'share of the run, at its start, in which batchtopk and matryoshka keep k of each row',
      numberOption,
    ],
    ['prefixes', 'widths of nested dictionaries, fractions of d_sae', numberListOption],
    ['nPrefixes', 'nested dictionaries of randomly drawn widths, the whole one counted', numberOption],
    [
      'prefixPower',
      'how much wider prefixes count for more: width to this power (0: all the same)',
      numberOption,
    ],
  ],
  'Dead and shared latents:': [
    ['deadAfterTokens', 'tokens without firing after which a latent counts as dead', numberOption],
    ['resampleAt', 'fractions of the run at which dead latents are resampled, or off', numberListOption],
    ['resampleWindow', 'fraction of the run without firing that makes a latent dead for it', numberOption],
    ['resampleInputs', 'inputs whose loss decides where resampled latents start', numberOption],
    [
      'kAux',
      'AuxK: dead latents that explain the residual of a row (0: as many as are active)',
      numberOption,
    ],
    ['auxCoefficient', 'AuxK: weight of its loss (0: without it)', numberOption],
    ['faintBelow', 'AuxK: gain of a latent below which it counts as dead (0: never)', numberOption],
    [
      'splitAt',
      'fractions of the run at which latents that stand for two features are split, or off',
      numberListOption,
    ],
  ],
  'Optimiser:': [
    ['learningRate', "Adam's learning rate", numberOption],
    ['learningRateWarmUp', 'fraction of the run over which it rises from 0', numberOption],
    ['learningRateDecay', 'last fraction of the run, over which it falls to 0', numberOption],
    ['learningRateShape', 'how it rises and falls: linear or cosine', oneOf(...CHOICES.learningRateShape)],
    ['beta1', "Adam's β₁", numberOption],
    ['beta2', "Adam's β₂", numberOption],
    ['gradientClipNorm', 'length to which longer gradients are shortened', numberOption],
    ['moments', "type of Adam's moments: f32, or bf16 in half the memory", oneOf(...CHOICES.moments)],
    ['emaDecay', 'of running averages of the weights, which are then saved (0: none)', numberOption],
  ],
  'Inputs and start:': [
    [
      'normalize',
      'none, expected-norm (inputs scaled to E‖x‖ = √d_in) or layer-norm (every row by its own mean and deviation)',
      oneOf(...CHOICES.normalize),
    ],
    [
      'decoderInit',
      'random (directions), data (those of inputs) or uniform (numbers)',
      oneOf(...CHOICES.decoderInit),
    ],
    [
      'encoderInit',
      'tied (starts as the decoder), scaled (d_in/d_sae of that) or kaiming',
      oneOf(...CHOICES.encoderInit),
    ],
    [
      'decoderBiasInit',
      'geometric-median, mean, zeros, or none (no bias at all)',
      oneOf(...CHOICES.decoderBiasInit),
    ],
    ['decoderNorm', 'length of decoder rows at the start, where they are free', numberOption],
  ],
};

const FLAGS = Object.values(GROUPS).flat();

function oneOf(...choices: string[]): (text: string) => string {
  return (text) => {
    if (choices.includes(text)) return text;
    throw new InvalidArgumentError(`It takes ${choices.join(' or ')}.`);
  };
}

export type TrainFlags = Partial<Record<keyof TrainOptions, unknown>> & { preset?: string };

export function addTrainFlags(command: Command): Command {
  const [first] = Object.keys(GROUPS);
  command
    .optionsGroup(first)
    .option('--preset <name>', `settings to start from: ${Object.keys(PRESETS).join(', ')}`);
  for (const [heading, flags] of Object.entries(GROUPS)) {
    command.optionsGroup(heading);
    for (const [name, help, parse] of flags) {
      const value = [defaultOf(name) ?? 'none'].flat().map(shown).join(',') || 'off';
      command.option(`${flagOf(name)} <value>`, `${help} (default: ${value})`, parse);
    }
  }
  return command;
}

/** The default of the standard architecture, or else of the first that takes the option. */
function defaultOf(name: keyof TrainOptions): unknown {
  if (DEFAULT_OPTIONS[name] !== undefined) return DEFAULT_OPTIONS[name];
  const settings = ARCHITECTURES.map((architecture) => architecture.settings as Partial<TrainOptions>);
  return settings.find((taken) => taken[name] !== undefined)?.[name];
}

function shown(value: unknown): unknown {
  return typeof value === 'number' ? Number(value.toPrecision(6)) : value;
}

/** Defaults, those of the architecture, the preset, then what was given. */
export function trainOptions(flags: TrainFlags): TrainOptions {
  const given = Object.fromEntries(
    FLAGS.filter(([name]) => flags[name] !== undefined).map(([name]) => [name, flags[name]]),
  );
  return withSpelling(flagOf, () => checkOptions(resolveOptions(given, flags.preset)));
}
