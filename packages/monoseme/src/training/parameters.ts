import type { DictionaryForm } from '../dictionary/index.ts';
import { type Architecture, foldInputScale, type Start, unitRows } from '../dictionary/index.ts';
import type { Weights } from '../dictionary/index.ts';
import type { KernelBackend, ScreenedWeights } from '../kernels/contract.ts';
import { type AdamVector, adamVector } from './adam.ts';
import type { Moments } from '../kernels/index.ts';
import type { TrainOptions } from './options.ts';
import { Buffers } from '../tensor/index.ts';
import type { RowLayout } from './row-layout.ts';
import { type SparsityControl, startOfControl } from './sparsity-control.ts';
import type { WeightAverage } from './weight-average.ts';

/** A weight matrix with its Adam moments: [dSae, dIn] of the encoder, [dSae, dOut] of the decoder. */
export interface AdamMatrix {
  readonly weights: Float32Array;
  readonly firstMoments: Moments;
  readonly secondMoments: Moments;
}

/** All that a training step changes, in the scale of training. */
export interface TrainState {
  readonly layout: RowLayout;
  readonly dIn: number;
  readonly dOut: number;
  readonly dSae: number;
  readonly encoder: AdamMatrix;
  readonly decoder: AdamMatrix;
  readonly encoderBias: AdamVector;
  readonly decoderBias: AdamVector;
  /** Learnt vectors of the architecture beside these, [dSae] each. */
  readonly further: Readonly<Record<string, AdamVector>>;
  /** x · W_skip is added to the reconstruction, [dIn, dOut]. */
  readonly skip?: AdamMatrix;
  /** Numbers that the architecture keeps from step to step. */
  readonly memory: number[];
  /** [dSae]: the step (counted from 1) in which the latent last fired, 0 for never. Exact in f32 up to 2^24. */
  readonly lastFiredStep: Float32Array;
  /** Moves λ where L0 has a target. */
  readonly sparsity: SparsityControl;
  /** Running averages of the weights, where they are kept. */
  average?: WeightAverage;
  /** Memory that every step uses again. */
  readonly buffers: Buffers;
  /** Of the encoder as it is now, where it pays. Who changes the encoder outside of a step drops it. */
  screened?: ScreenedWeights;
  /** Steps done. */
  step: number;
}

/**
 * The state before the first step.
 *
 * @param backend where matrices are moved to memory that it reads fastest, and where they were is given back; they stay
 *   where they are when absent
 */
export function trainState(
  weights: Weights,
  layout: RowLayout,
  start: Start = { further: {}, memory: [] },
  moments: TrainOptions['moments'] = 'f32',
  backend?: KernelBackend,
): TrainState {
  const dSae = weights.b_enc.length;
  const floats = (length: number) => backend?.floats(length) ?? new Float32Array(length);
  const momentsOf = ({ length }: Float32Array): Moments => {
    if (moments === 'f32') return floats(length);
    const { buffer, byteOffset } = floats(Math.ceil(length / 2));
    return new Uint16Array(buffer, byteOffset, length);
  };
  const moved = (matrix: Float32Array): Float32Array => {
    if (!backend) return matrix;
    const copy = backend.floats(matrix.length);
    copy.set(matrix);
    return copy;
  };
  const withMoments = (matrix: Float32Array): AdamMatrix => ({
    weights: moved(matrix),
    firstMoments: momentsOf(matrix),
    secondMoments: momentsOf(matrix),
  });
  const state: TrainState = {
    layout,
    dIn: weights.W_enc.length / dSae,
    dOut: weights.b_dec.length,
    dSae,
    encoder: withMoments(weights.W_enc),
    decoder: withMoments(weights.W_dec),
    encoderBias: adamVector(weights.b_enc),
    decoderBias: adamVector(weights.b_dec),
    further: Object.fromEntries(
      Object.entries(start.further).map(([name, values]) => [name, adamVector(values)]),
    ),
    ...(weights.W_skip && { skip: withMoments(weights.W_skip) }),
    memory: start.memory,
    lastFiredStep: new Float32Array(dSae),
    sparsity: startOfControl(),
    buffers: new Buffers(floats),
    step: 0,
  };
  const { W_enc, W_dec, W_skip } = weights;
  backend?.release([W_enc, W_dec, ...(W_skip ? [W_skip] : [])]);
  return state;
}

/** For who changes the encoder outside of a step. Mutates state */
export function dropScreened_(state: TrainState, backend: KernelBackend): void {
  if (state.screened) backend.release([state.screened.bytes, state.screened.facts]);
  state.screened = undefined;
}

/** The weights as they are trained; the arrays are those of the state. */
export function currentWeights({ encoder, decoder, encoderBias, decoderBias, skip }: TrainState): Weights {
  return {
    W_enc: encoder.weights,
    b_enc: encoderBias.values,
    W_dec: decoder.weights,
    b_dec: decoderBias.values,
    ...(skip && { W_skip: skip.weights }),
  };
}

export function furtherVectors({ further }: TrainState): Record<string, Float32Array> {
  return Object.fromEntries(Object.entries(further).map(([name, { values }]) => [name, values]));
}

/**
 * The dictionary for use on raw activations: what the architecture makes of its training (of the averaged weights, where
 * they are kept), without the input scale.
 */
export function finishedForm(
  state: TrainState,
  architecture: Architecture,
  options: TrainOptions,
): DictionaryForm {
  const { layout, memory, average, dOut } = state;
  const settled = <T extends object>(values: T): T =>
    average ? (Object.fromEntries(Object.keys(values).map((name) => [name, average[name]])) as T) : values;
  const weights = settled(currentWeights(state));
  // An average of unit rows is shorter by how much they differ: the noise that it is there to lose, which says nothing of the latent.
  // So activations stay as they are; multiplied by the length, thresholds and the k largest would not be the averaged encoder's.
  const form = architecture.finish({
    weights:
      average && options.unitNormDecoder ? { ...weights, W_dec: unitRows(weights.W_dec, dOut) } : weights,
    further: settled(furtherVectors(state)),
    memory,
    settings: options,
  });
  return { ...form, weights: foldInputScale(form.weights, layout.inputs, layout.outputs) };
}
