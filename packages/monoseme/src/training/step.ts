import {
  type Architecture,
  type ArchitectureSettings,
  type Gradients,
  standard,
  type StepSums,
} from '../dictionary/index.ts';
import type {
  AdamOptions,
  Codes,
  GradientInput,
  KernelBackend,
  SparseSum,
  UpdateRowsInput,
} from '../kernels/contract.ts';
import { screenedIfItPays, withPassingResults } from '../kernels/index.ts';
import { hashSeed, Random } from '../random/index.ts';
import { adamStep_, type AdamVector } from './adam.ts';
import { centering_, oneFullRow } from './centering.ts';
import { type AdamMatrix, furtherVectors, type TrainState } from './parameters.ts';
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
 * Mutates    state; and batch as `gradientsOf_` does
 * Memory     beyond weights, moments and batch less than 10 % of the weights and 64 MiB; of wide batches more where AuxK is
 *            at work on few latents (one batch more), and where reconstructions are nested (one for each)
 */
export async function trainStep_(
  state: TrainState,
  backend: KernelBackend,
  batch: Float32Array,
  options: StepOptions,
): Promise<StepSums> {
  const { encoder, dIn } = state;
  state.screened ??= await screenedIfItPays(
    backend,
    encoder.weights,
    dIn,
    screenedBytes(state, batch, options.settings),
  );
  return withPassingResults(backend, (passing) => descend_(state, passing, batch, options));
}

/** Of 64 MiB what is left for the encoder in 8 bits beside residuals as large as the batch and the rest of a step. */
const SCREENED_BYTES = 30 << 20;

function screenedBytes(
  { encoder, decoder }: TrainState,
  batch: Float32Array,
  settings: ArchitectureSettings = {},
): number {
  const weights = encoder.weights.byteLength + decoder.weights.byteLength;
  const residuals = nResiduals(settings) * batch.byteLength;
  return Math.max(0.05 * weights, 0.1 * weights + SCREENED_BYTES - residuals);
}

/** Arrays as large as the batch that a step holds: the residuals of each nested reconstruction, and those of AuxK. */
function nResiduals({ auxCoefficient = 0, prefixes, nPrefixes }: ArchitectureSettings): number {
  return (prefixes?.length ?? nPrefixes ?? 1) + Math.sign(auxCoefficient);
}

async function descend_(
  state: TrainState,
  backend: KernelBackend,
  batch: Float32Array,
  options: StepOptions,
): Promise<StepSums> {
  const { encoder, decoder, encoderBias, decoderBias, skip } = state;
  const { adam } = options;
  const gradients = await gradientsOf_(state, backend, batch, options);
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
  backend.release([gradients.b_enc, gradients.preActs]);
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

/**
 * The gradients of a step without taking it.
 *
 * Mutates the architecture's memory; and batch as `centering_` does, so that no second batch is needed.
 */
export async function gradientsOf_(
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
  const { x, target } = splitRows(batch, layout, state.buffers);
  const { weights, encoderBias, complete } = await centering_(state, backend, x, architecture.centersInput);
  const gradients = await architecture.gradients({
    backend,
    target,
    buffers: state.buffers,
    x,
    nRows: x.length / dIn,
    dIn,
    dOut,
    parts: layout.outputs.map(({ width }) => width),
    dSae,
    weights,
    encoderBias,
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
  return complete(gradients);
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
  const values = buffers.floats('gradients of the pre-activations', dSae);
  values.set(gradients.preActs);
  const throughEncoder = await backend.decode({
    codes: oneFullRow(buffers, values),
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
