import {
  type Architecture,
  type ArchitectureSettings,
  type Gradients,
  oneFullRow,
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
import { centering_ } from './centering.ts';
import { type AdamMatrix, furtherVectors, type TrainState } from './parameters.ts';
import { rowParts, sidesOf, totalWidth } from './row-layout.ts';
import { stepMemory } from './step-memory.ts';

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
 * Shapes     batch as `prepareRows_` leaves it
 * Mutates    state; and batch as `gradientsOf_` does
 * Memory     beyond weights, moments and batch less than 10 % of the weights and 64 MiB, as `stepMemory` divides them; more
 *            of many active latents on wide batches
 */
export async function trainStep_(
  state: TrainState,
  backend: KernelBackend,
  batch: Float32Array,
  options: StepOptions,
): Promise<StepSums> {
  const { encoder, dIn } = state;
  const nRows = batch.length / totalWidth(rowParts(state.layout));
  state.screened ??= await screenedIfItPays(
    backend,
    encoder.weights,
    dIn,
    stepMemory(state, nRows, options.architecture, options.settings).screenedBytes,
  );
  return withPassingResults(backend, (passing) => descend_(state, passing, batch, options));
}

async function descend_(
  state: TrainState,
  backend: KernelBackend,
  batch: Float32Array,
  options: StepOptions,
): Promise<StepSums> {
  const { adam, gradientClipNorm } = options;
  const gradients = await gradientsOf_(state, backend, batch, options);
  const [ofDecoder, ...others] = matrixUpdates(state, gradients, options);
  const clipped =
    gradientClipNorm === undefined
      ? undefined
      : await clippedUpdates(state, backend, gradients, options, gradientClipNorm);
  const gradientScale = clipped?.gradientScale ?? 1;
  for await (const mask of turnsOf(gradients))
    await backend.updateRows({ ...ofDecoder, mask, gradientScale, adam });
  const vectors = clipped?.vectors ?? (await vectorUpdates(state, backend, gradients, options));
  for (const matrix of others) await backend.updateRows({ ...matrix, gradientScale, adam });
  for (const [vector, gradient] of vectors) adamStep_(vector, gradient, adam, gradientScale);

  state.step++;
  markFired_(state, gradients.acts);
  backend.release([gradients.b_enc, gradients.preActs]);
  return gradients.sums;
}

type MatrixUpdate = GradientInput & AdamMatrix & Pick<UpdateRowsInput, 'screened'>;
type VectorUpdate = readonly [AdamVector, Float64Array];

/** The decoder's, the encoder's, and the skip connection's where there is one. */
function matrixUpdates(
  state: TrainState,
  gradients: Gradients,
  { unitNormDecoder }: StepOptions,
): MatrixUpdate[] {
  const { encoder, decoder, skip, dIn, dOut: width, screened } = state;
  const decoderConstraint = unitNormDecoder ? 'unitNorm' : 'none';
  const updates: MatrixUpdate[] = [
    { ...gradients.decoder, ...decoder, width, constraint: decoderConstraint },
    { ...gradients.encoder, ...encoder, width: dIn, constraint: 'none', screened },
  ];
  if (skip) updates.push({ ...(gradients.skip as SparseSum), ...skip, width, constraint: 'none' });
  return updates;
}

/** Once the decoder's turns were taken, and before the encoder moves. */
async function vectorUpdates(
  state: TrainState,
  backend: KernelBackend,
  gradients: Gradients,
  options: StepOptions,
): Promise<VectorUpdate[]> {
  const { encoderBias, decoderBias, further } = state;
  const updates: VectorUpdate[] = [[encoderBias, gradients.b_enc]];
  if (options.trainDecoderBias)
    updates.push([decoderBias, await gradientOfDecoderBias(state, backend, gradients, options)]);
  for (const [name, vector] of Object.entries(further)) updates.push([vector, gradients.further[name]]);
  return updates;
}

/** The latents of the decoder whose gradients are in memory, turn by turn; all at once where there are no turns. */
async function* turnsOf({ turns }: Gradients): AsyncGenerator<Uint8Array | undefined> {
  if (!turns) return void (yield undefined);
  for (const { mask, begin } of turns) {
    await begin();
    yield mask;
  }
}

/** The vectors' gradients, and limit / ‖g‖ over all parameters, 1 where the gradient is not longer than the limit. */
async function clippedUpdates(
  state: TrainState,
  backend: KernelBackend,
  gradients: Gradients,
  options: StepOptions,
  limit: number,
): Promise<{ vectors: VectorUpdate[]; gradientScale: number }> {
  const [ofDecoder, ...others] = matrixUpdates(state, gradients, options);
  let square = 0;
  for await (const mask of turnsOf(gradients))
    square += await backend.squaredGradientNorm({ ...ofDecoder, mask });
  for (const matrix of others) square += await backend.squaredGradientNorm(matrix);
  const vectors = await vectorUpdates(state, backend, gradients, options);
  for (const [, gradient] of vectors) for (const element of gradient) square += element * element;
  return { vectors, gradientScale: Math.min(1, limit / Math.sqrt(square)) };
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
  const { x, target } = sidesOf(batch, layout);
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
    nHeld: stepMemory(state, x.length / dIn, architecture, settings).nHeld,
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
