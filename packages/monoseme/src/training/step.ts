import {
  type Architecture,
  type ArchitectureSettings,
  type Gradients,
  type SparseSum,
  standard,
  type StepSums,
} from '../dictionary/index.ts';
import type {
  AdamOptions,
  Codes,
  GradientInput,
  KernelBackend,
  UpdateRowsInput,
} from '../kernels/contract.ts';
import { screenedIfItPays } from '../kernels/index.ts';
import { hashSeed, Random } from '../random/index.ts';
import { adamStep_, type AdamVector } from './adam.ts';
import { type AdamMatrix, currentWeights, furtherVectors, type TrainState } from './parameters.ts';
import { splitRows } from './row-layout.ts';

export interface StepOptions {
  /** λ in force; 0 for an architecture without a penalty. */
  readonly l1Coefficient: number;
  readonly adam: AdamOptions;
  /** Length to which the gradient of all parameters together is shortened, where it is longer. */
  readonly gradientClipNorm?: number;
  readonly unitNormDecoder: boolean;
  /** False holds b_dec where it is. */
  readonly trainDecoderBias: boolean;
  /** `standard` when absent. */
  readonly architecture?: Architecture;
  readonly settings?: ArchitectureSettings;
  /** Fraction of the run that is done. */
  readonly progress?: number;
  readonly seed?: number;
  /** Steps without firing after which a latent counts as dead. */
  readonly deadAfterSteps?: number;
}

/**
 * One step of training: the gradients of the architecture, then Adam on every parameter. All gradients use the
 * weights from before the step.
 *
 * b_dec      its gradient is that of the decoder path, and of the encoder path with its minus where the encoder sees
 *            x − b_dec:  ∂b_dec −= Σ_j (Σ_b ∂L/∂⟨x_b, W_enc[j]⟩) W_enc[j]
 * Shapes     batch [nRows, columns of the layout], already times their factors
 * Mutates    state
 */
export async function trainStep_(
  state: TrainState,
  backend: KernelBackend,
  batch: Float32Array,
  options: StepOptions,
): Promise<StepSums> {
  const { encoder, decoder, encoderBias, decoderBias, skip } = state;
  const { adam } = options;
  state.screened ??= await screenedIfItPays(backend, encoder.weights, state.dIn);
  const gradients = await gradientsOf(state, backend, batch, options);
  const decoderBiasGradient = await gradientOfDecoderBias(state, backend, gradients, options);

  const decoderConstraint = options.unitNormDecoder ? 'unitNorm' : 'none';
  const matrices: MatrixUpdate[] = [
    { ...gradients.decoder, ...decoder, width: state.dOut, constraint: decoderConstraint },
    { ...gradients.encoder, ...encoder, width: state.dIn, constraint: 'none', screened: state.screened },
  ];
  if (skip)
    matrices.push({ ...(gradients.skip as SparseSum), ...skip, width: state.dOut, constraint: 'none' });
  const vectors: [AdamVector, Float64Array][] = [[encoderBias, gradients.b_enc]];
  if (options.trainDecoderBias) vectors.push([decoderBias, decoderBiasGradient]);
  for (const [name, vector] of Object.entries(state.further)) vectors.push([vector, gradients.further[name]]);

  const gradientScale = await clippingScale(backend, matrices, vectors, options.gradientClipNorm);
  for (const matrix of matrices) await backend.updateRows({ ...matrix, gradientScale, adam });
  for (const [vector, gradient] of vectors) adamStep_(vector, gradient, adam, gradientScale);

  state.step++;
  markFired_(state, gradients.acts);
  return gradients.sums;
}

type MatrixUpdate = GradientInput & AdamMatrix & Pick<UpdateRowsInput, 'screened'>;

/** limit / ‖g‖ over all parameters, 1 where the gradient is not longer than the limit. */
async function clippingScale(
  backend: KernelBackend,
  matrices: readonly MatrixUpdate[],
  vectors: readonly [AdamVector, Float64Array][],
  limit: number | undefined,
): Promise<number> {
  if (limit === undefined) return 1;
  let square = 0;
  for (const matrix of matrices) square += await backend.squaredGradientNorm(matrix);
  for (const [, gradient] of vectors) for (const element of gradient) square += element * element;
  return Math.min(1, limit / Math.sqrt(square));
}

/** The gradients of a step without taking it. Mutates the architecture's memory alone. */
export async function gradientsOf(
  state: TrainState,
  backend: KernelBackend,
  batch: Float32Array,
  options: StepOptions,
): Promise<Gradients> {
  const { dIn, dOut, dSae, layout } = state;
  const {
    architecture = standard,
    settings = {},
    progress = 0,
    deadAfterSteps = Infinity,
    seed = 0,
  } = options;
  const { x, target } = splitRows(batch, layout);
  return architecture.gradients({
    backend,
    target,
    buffers: state.buffers,
    x: architecture.centersInput ? await withoutBias(state, backend, x) : x,
    nRows: x.length / dIn,
    dIn,
    dOut,
    parts: layout.outputs.map(({ width }) => width),
    dSae,
    weights: currentWeights(state),
    screened: state.screened,
    further: furtherVectors(state),
    memory: state.memory,
    settings,
    coefficient: options.l1Coefficient,
    progress,
    deadAfterSteps,
    random: () => new Random(hashSeed(seed, 'step', state.step)),
    deadLatents: () => Uint32Array.from(deadLatents(state, deadAfterSteps)),
  });
}

/** x − b_dec for every row, in a buffer. */
async function withoutBias(
  state: TrainState,
  backend: KernelBackend,
  rows: Float32Array,
): Promise<Float32Array> {
  const centered = state.buffers.floats('x', rows.length);
  await backend.center({ rows, offset: state.decoderBias.values, centered });
  return centered;
}

/** Latents that have not fired in the last so many steps, ascending. */
export function deadLatents(state: TrainState, windowSteps: number): number[] {
  const dead: number[] = [];
  for (let j = 0; j < state.dSae; j++) {
    if (state.step - state.lastFiredStep[j] >= windowSteps) dead.push(j);
  }
  return dead;
}

async function gradientOfDecoderBias(
  { dSae, dIn, dOut, encoder, buffers }: TrainState,
  backend: KernelBackend,
  gradients: Gradients,
  { architecture = standard }: StepOptions,
): Promise<Float64Array> {
  const { rows, factor } = gradients.b_dec;
  const gradient = (await backend.columnSums({ rows, width: dOut })).map((sum) => factor * sum);
  if (!architecture.centersInput) return gradient;
  const oneFullRow = {
    nRows: 1,
    dSae,
    rowPointers: Uint32Array.of(0, dSae),
    latentIndices: buffers.ascending(dSae),
    values: Float32Array.from(gradients.preActs),
  };
  const throughEncoder = await backend.decode({
    codes: oneFullRow,
    dOut: dIn,
    W_dec: encoder.weights,
  });
  for (let i = 0; i < dIn; i++) gradient[i] -= throughEncoder[i];
  return gradient;
}

/** An active pair has a value above 0: those in the window of a threshold have not fired. */
function markFired_(state: TrainState, { latentIndices, values }: Codes): void {
  for (let pair = 0; pair < values.length; pair++) {
    if (values[pair] > 0) state.lastFiredStep[latentIndices[pair]] = state.step;
  }
}
