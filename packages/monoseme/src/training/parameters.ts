import type { Weights } from '../dictionary/index.ts';
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
  /** [dSae]: the step (counted from 1) in which the latent last fired, 0 for never. Exact in f32 up to 2^24. */
  readonly lastFiredStep: Float32Array;
  /** Inputs are multiplied by it. */
  readonly scalingFactor: number;
  /** Steps done. */
  step: number;
}

export function trainState(weights: Weights, scalingFactor: number): TrainState {
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
    lastFiredStep: new Float32Array(dSae),
    scalingFactor,
    step: 0,
  };
}

/**
 * The weights for use on raw activations.
 *
 * A ReLU autoencoder is positively homogeneous: with x_s = s·x, ReLU(W (x_s − b_dec) + b_enc) is s times
 * ReLU(W (x − b_dec/s) + b_enc/s). So dividing both biases by s moves latents and reconstruction into the unit of
 * the raw activations and leaves the directions at unit length.
 */
export function foldedWeights(state: TrainState): Weights {
  const divided = (bias: Float32Array) => bias.map((value) => value / state.scalingFactor);
  return {
    W_enc: state.encoder.weights,
    b_enc: divided(state.encoderBias.values),
    W_dec: state.decoder.weights,
    b_dec: divided(state.decoderBias.values),
  };
}
