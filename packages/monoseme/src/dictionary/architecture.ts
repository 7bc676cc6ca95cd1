import type {
  Codes,
  CodesByLatent,
  KernelBackend,
  Residuals,
  ScreenedWeights,
  Selection,
  SparseGradient,
  SparseSum,
} from '../kernels/contract.ts';
import type { Random } from '../random/index.ts';
import type { Buffers } from '../tensor/index.ts';
import type { DictionaryForm, Weights } from './dictionary.ts';
import { affine_, sumsByLatent } from './sparse-sum.ts';

/**
 * What an architecture may be told. Each architecture lists in `settings` the ones it takes, with their defaults;
 * the others are refused for it.
 *
 * Lengths marked "scaled" are in units of E‖x‖/√dIn (1 for normalised inputs), so that they mean the same for inputs of
 * any scale.
 */
export interface ArchitectureSettings {
  /** λ of an L1 (or Lp) penalty. */
  readonly l1Coefficient?: number;
  readonly l1Scale?: 'sum' | 'paper';
  /** λ grows linearly from 0 over this fraction of the run. */
  readonly l1WarmUp?: number;
  /** λ of an L0 penalty, scaled (squared). */
  readonly l0Coefficient?: number;
  /** Active latents: of each row, or on average over the batch. */
  readonly k?: number;
  /** Over this fraction of the run the k in force goes in a line from `initialK` to k. */
  readonly kWarmUp?: number;
  /** 0: as many as there are inputs. */
  readonly initialK?: number;
  /** Share of the run, at its start, in which the k largest of every row are kept, not the k · B of the batch. */
  readonly byRow?: number;
  /** Dead latents that AuxK lets explain the residual, a row; 0 for as many as are active. */
  readonly kAux?: number;
  /** Weight α of AuxK. */
  readonly auxCoefficient?: number;
  /** AuxK takes latents too whose gain ⟨W_enc[j], W_dec[j]⟩ is below this; 0: the dead alone. */
  readonly faintBelow?: number;
  /** Width ε of the window around a threshold in which it gets a gradient, scaled. */
  readonly bandwidth?: number;
  /** Share of the rows, the first ones, whose silent pairs in that window stand for those of all. */
  readonly windowShare?: number;
  /** Where thresholds start, scaled. */
  readonly initialThreshold?: number;
  /** Widths of nested dictionaries as fractions of dSae, ascending, the last 1. */
  readonly prefixes?: readonly number[];
  /** Exponent p of a prefix's width in the weight of its error; 0: all count the same. */
  readonly prefixPower?: number;
  /** Nested dictionaries whose widths are drawn anew for every batch, the whole one counted. */
  readonly nPrefixes?: number;
  /** c of a tanh penalty, in units of 1 / scaled. */
  readonly tanhScale?: number;
  /** Weight of the pull on silent pre-activations, scaled. */
  readonly preActCoefficient?: number;
  /** Share of the inputs on which each latent fires at the start. */
  readonly initialDensity?: number;
  /** The exponent of the Lp penalty at the end. */
  readonly finalPower?: number;
  /** Length of the decoder rows at the start. */
  readonly decoderNorm?: number;
  readonly resampleAt?: readonly number[];
  readonly splitAt?: readonly number[];
  readonly resampleWindow?: number;
  readonly resampleInputs?: number;
}

/** Settings of training in general for which an architecture has a default of its own. */
export interface TrainingDefaults {
  readonly learningRate?: number;
  readonly beta1?: number;
  readonly decoderInit?: 'random' | 'data' | 'uniform';
  readonly encoderInit?: 'tied' | 'scaled' | 'kaiming';
  readonly unitNormDecoder?: boolean;
  readonly deadAfterTokens?: number;
}

/** A batch and everything a gradient may depend on. All in the scale of training. */
export interface Step {
  readonly backend: KernelBackend;
  /** Memory for what does not outlive the step. */
  readonly buffers: Buffers;
  /** [nRows, dOut]: what is to be reconstructed; the residuals may take its place where it is their buffer. */
  readonly target: Float32Array;
  /** Its variance about the mean of the batch, summed over the elements, where it is asked for once they have. */
  readonly targetVariance?: number;
  /** [nRows, dIn]: the rows of the encoder: the target, or another hook point. */
  readonly x: Float32Array;
  /** [dSae]: with which W_enc x is a pre-activation; b_enc, or b_enc − W_enc b_dec where x has b_dec still. */
  readonly encoderBias: Float32Array;
  readonly nRows: number;
  readonly dIn: number;
  readonly dOut: number;
  /** Widths of the hook points that make up the target: several for a crosscoder. */
  readonly parts: readonly number[];
  readonly dSae: number;
  readonly weights: Weights;
  /** Of W_enc, where encoding is faster with it. */
  readonly screened?: ScreenedWeights;
  /** Learnt vectors beside the four, [dSae] each. */
  readonly further: Readonly<Record<string, Float32Array>>;
  /** Numbers an architecture keeps from step to step. Mutated. */
  readonly memory: number[];
  /**
   * Arrays of residuals that are held at once, those of nested reconstructions and what AuxK leaves: at least 1, with AuxK 2;
   * all when absent.
   */
  readonly nHeld?: number;
  readonly settings: ArchitectureSettings;
  /** λ in force. */
  readonly coefficient: number;
  /** Fraction of the run that is done. */
  readonly progress: number;
  /** Steps without firing after which a latent counts as dead. */
  readonly deadAfterSteps: number;
  /** Random numbers of this step, the same in every run of the seed. */
  readonly random: () => Random;
  /** Latents that have not fired in the last `deadAfterTokens` tokens, ascending. */
  readonly deadLatents: () => Uint32Array;
}

/** Sums over a batch, in the scale of training. */
export interface StepSums {
  /** Σ_b ‖x − x̂‖² */
  squaredError: number;
  /** Σ_b ‖f‖₁ */
  l1: number;
  /** Σ_b ‖f‖₀ */
  l0: number;
  /** Σ_b of the whole loss. */
  loss: number;
}

/** ∂L of every parameter. */
export interface Gradients {
  /** of W_enc */
  readonly encoder: SparseGradient;
  /** of W_dec */
  readonly decoder: SparseGradient;
  /** Where the rows of `decoder` are not all in memory at once; all latents at any time when absent. */
  readonly turns?: readonly DecoderTurn[];
  /** of W_skip, for those that have one: row i is Σ_b x_bi · 2/B e_b. */
  readonly skip?: SparseSum;
  /** [dSae] */
  readonly b_enc: Float64Array;
  /** [dSae]: Σ_b ∂L/∂⟨x_b, W_enc[j]⟩, which reaches b_dec where the input is centred. */
  readonly preActs: Float64Array;
  /** of b_dec, through the reconstruction alone: factor · Σ of the rows [nRows, dOut], as they are after the last turn. */
  readonly b_dec: { readonly rows: Float32Array; readonly factor: number };
  /** of the further vectors */
  readonly further: Readonly<Record<string, Float64Array>>;
  /** [nRows, dOut]: x̂ − target */
  readonly residuals: Float32Array;
  /** The latent activations of the batch; pairs with the value 0 are not active. */
  readonly acts: Codes;
  readonly sums: StepSums;
}

/**
 * Latents whose rows of the decoder's gradient are in memory together. Turns are taken in their order; the decoder rows of a
 * turn's latents may have changed when the next one begins, and all turns may be taken again before any has changed.
 */
export interface DecoderTurn {
  /** [dSae]: 1 of the latents whose turn it is. */
  readonly mask: Uint8Array;
  /** Fills the rows. */
  begin(): Promise<void>;
}

/** What training starts from, beside the four weights. */
export interface Start {
  readonly further: Record<string, Float32Array>;
  readonly memory: number[];
}

/** What is left of training, in its scale. */
export interface Trained {
  readonly weights: Weights;
  readonly further: Readonly<Record<string, Float32Array>>;
  readonly memory: readonly number[];
  readonly settings: ArchitectureSettings;
}

/**
 * What a row of activations is to an architecture: the activations of one hook point; those of an input and then of a
 * target (transcoders); or those of several hook points, all of which it reads and reconstructs (crosscoders).
 */
export type RowKind = 'activations' | 'input-and-target' | 'sources';

/**
 * A kind of sparse autoencoder: what its loss is, and what it is for use once trained. One object a file, one line
 * in the table of `architectures.ts`.
 */
export interface Architecture {
  readonly name: string;
  /** One line for people. */
  readonly description: string;
  readonly source: string;
  /** `activations` when absent. */
  readonly rows?: RowKind;
  /** Whether x · W_skip is added to the reconstruction. */
  readonly hasSkip?: boolean;
  /** A second reconstruction has so many times as many latents. */
  readonly wider?: number;
  /** Whether the encoder sees x − b_dec. */
  readonly centersInput: boolean;
  /** The setting that weighs its penalty, if it has one. */
  readonly coefficient?: 'l1Coefficient' | 'l0Coefficient';
  /** The settings it takes, with their defaults. */
  readonly settings: ArchitectureSettings;
  readonly defaults: TrainingDefaults;
  /** @param inputScale E‖x‖/√dIn in the scale of training */
  start?(dSae: number, inputScale: number, settings: ArchitectureSettings): Start;
  gradients(step: Step): Promise<Gradients>;
  /** The dictionary for use, in the scale of training. */
  finish(trained: Trained): DictionaryForm;
}

/** Codes of the batch under a selection. */
export function encodeBatch(
  step: Step,
  selection: Selection,
  changes: { b_enc?: Float32Array; latents?: Uint32Array; x?: Float32Array; nRows?: number } = {},
): Promise<Codes> {
  const { x, nRows, dIn, dSae, weights, encoderBias: b_enc, screened } = step;
  const { W_enc } = weights;
  return step.backend.encode({ x, nRows, dIn, dSae, W_enc, b_enc, selection, screened, ...changes });
}

/**
 * Transposed pairs and the error of a reconstruction x̂ = Σ_j f_j W_dec[j] + b_dec of the target. Once a step: the
 * residuals are in its buffers.
 */
export async function reconstruct(
  step: Step,
  acts: Codes,
): Promise<{ byLatent: CodesByLatent; errors: Residuals }> {
  const { backend, target, dOut, weights } = step;
  const { W_dec, b_dec } = weights;
  const residuals = step.buffers.floats('residuals', target.length);
  const [byLatent, errors] = await Promise.all([
    backend.transpose(acts),
    backend.residuals({ codes: acts, dOut, W_dec, b_dec, target, residuals }),
  ]);
  return { byLatent, errors };
}

/** ⟨a[j], b[j]⟩ of the rows of two matrices [dSae, ·], [dSae]. */
export function latentProducts(
  { backend, buffers, dSae }: Step,
  a: Float32Array,
  b: Float32Array,
): Promise<Float32Array> {
  const codes = {
    nRows: dSae,
    dSae,
    rowPointers: buffers.ascending(dSae + 1),
    latentIndices: buffers.ascending(dSae),
    values: buffers.floats('no activations', dSae),
  };
  return backend.sampledProducts({ codes, dOut: a.length / dSae, rows: a, W_dec: b });
}

/** δ_bj = (2⟨e_b, W_dec[j]⟩ + penalty)/B of the pairs, in place of the products. */
export function deltasOf_(step: Step, products: Float32Array, penalty = 0): Float32Array {
  return affine_(products, products, 2 / step.nRows, penalty / step.nRows);
}

/**
 * The gradients that all architectures share, from δ_bj = ∂L/∂h_bj of the pairs and e = x̂ − x:
 *
 *   ∂W_dec[j] = 2/B Σ_b f_bj e_b,  ∂W_enc[j] = Σ_b δ_bj x_b,  ∂b_enc[j] = Σ_b δ_bj,  ∂b_dec = 2/B Σ_b e_b
 */
export function sharedGradients(
  step: Step,
  acts: Codes,
  byLatent: CodesByLatent,
  residuals: Float32Array,
  deltas: Float32Array,
): Omit<Gradients, 'sums'> {
  const factor = 2 / step.nRows;
  const coefficients = step.buffers.floats('decoder coefficients', acts.values.length);
  const preActs = sumsByLatent(acts, deltas);
  return {
    encoder: { byLatent, coefficients: deltas, rows: step.x },
    decoder: { byLatent, coefficients: affine_(coefficients, acts.values, factor, 0), rows: residuals },
    preActs,
    b_enc: preActs,
    b_dec: { rows: residuals, factor },
    further: {},
    residuals,
    acts,
  };
}
