import { type Architecture, foldInputScale, type Start, type Weights } from '../dictionary/index.ts';
import type { ArchitectureSettings, DictionaryForm } from '../dictionary/index.ts';
import { type AdamVector, adamVector } from './adam.ts';

/** A weight matrix [dSae, dIn] with its Adam moments. */
export interface AdamMatrix {
  readonly weights: Float32Array;
  readonly firstMoments: Float32Array;
  readonly secondMoments: Float32Array;
}

/** All that a training step changes, in the scale of training (inputs times `scalingFactor`). */
export interface TrainState {
  readonly dIn: number;
  readonly dSae: number;
  readonly encoder: AdamMatrix;
  readonly decoder: AdamMatrix;
  readonly encoderBias: AdamVector;
  readonly decoderBias: AdamVector;
  /** Learnt vectors of the architecture beside these, [dSae] each. */
  readonly further: Readonly<Record<string, AdamVector>>;
  /** Numbers that the architecture keeps from step to step. */
  readonly memory: number[];
  /** [dSae]: the step (counted from 1) in which the latent last fired, 0 for never. Exact in f32 up to 2^24. */
  readonly lastFiredStep: Float32Array;
  /** Inputs are multiplied by it. */
  readonly scalingFactor: number;
  /** Steps done. */
  step: number;
}

export function trainState(
  weights: Weights,
  scalingFactor: number,
  start: Start = { further: {}, memory: [] },
): TrainState {
  const dIn = weights.b_dec.length;
  const dSae = weights.b_enc.length;
  const withMoments = (matrix: Float32Array): AdamMatrix => ({
    weights: matrix,
    firstMoments: new Float32Array(matrix.length),
    secondMoments: new Float32Array(matrix.length),
  });
  return {
    dIn,
    dSae,
    encoder: withMoments(weights.W_enc),
    decoder: withMoments(weights.W_dec),
    encoderBias: adamVector(weights.b_enc),
    decoderBias: adamVector(weights.b_dec),
    further: Object.fromEntries(
      Object.entries(start.further).map(([name, values]) => [name, adamVector(values)]),
    ),
    memory: start.memory,
    lastFiredStep: new Float32Array(dSae),
    scalingFactor,
    step: 0,
  };
}

/** The dictionary for use on raw activations: what the architecture makes of its training, without the input scale. */
export function finishedForm(
  state: TrainState,
  architecture: Architecture,
  settings: ArchitectureSettings,
): DictionaryForm {
  const form = architecture.finish({
    weights: {
      W_enc: state.encoder.weights,
      b_enc: state.encoderBias.values,
      W_dec: state.decoder.weights,
      b_dec: state.decoderBias.values,
    },
    further: Object.fromEntries(Object.entries(state.further).map(([name, { values }]) => [name, values])),
    memory: state.memory,
    settings,
  });
  return { ...form, weights: foldInputScale(form.weights, state.scalingFactor) };
}
