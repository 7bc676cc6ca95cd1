import type { Weights } from './dictionary.ts';

/** Elements of the activation in which a latent's direction is largest. */
const ALIGNED = 3;

/** What the weights alone say about a latent. */
export interface WeightFigures {
  readonly encoderBias: number;
  /** Cosine of encoder and decoder direction; 0 where one of them is 0. */
  readonly encoderDecoderCosine: number;
  readonly decoderNorm: number;
  /** The elements (neurons, where the activation is of an MLP) with the largest |W_dec[j, i]|, largest first. */
  readonly neurons: Uint32Array;
  /** W_dec[j, i] of each. */
  readonly neuronWeights: Float32Array;
  /** |W_dec[j, i]| / Σ_i |W_dec[j, i]| of each. */
  readonly neuronShares: Float32Array;
}

/** Source of the neuron alignment: the feature panel of Bricken et al. 2023. */
export function weightFigures({ W_enc, b_enc, W_dec }: Weights, latent: number, dIn: number): WeightFigures {
  const start = latent * dIn;
  let [encoder, decoder, product, absolute] = [0, 0, 0, 0];
  for (let i = start; i < start + dIn; i++) {
    encoder += W_enc[i] * W_enc[i];
    decoder += W_dec[i] * W_dec[i];
    product += W_enc[i] * W_dec[i];
    absolute += Math.abs(W_dec[i]);
  }
  const neurons = largest(W_dec, start, dIn, Math.min(ALIGNED, dIn));
  const neuronWeights = Float32Array.from(neurons, (neuron) => W_dec[start + neuron]);
  return {
    encoderBias: b_enc[latent],
    encoderDecoderCosine: encoder * decoder > 0 ? product / Math.sqrt(encoder * decoder) : 0,
    decoderNorm: Math.sqrt(decoder),
    neurons,
    neuronWeights,
    neuronShares: neuronWeights.map((weight) => (absolute > 0 ? Math.abs(weight) / absolute : 0)),
  };
}

function largest(W: Float32Array, start: number, width: number, n: number): Uint32Array {
  const found: number[] = [];
  for (let i = 0; i < width; i++) {
    const size = Math.abs(W[start + i]);
    if (found.length === n && size <= Math.abs(W[start + found[n - 1]])) continue;
    let place = found.length;
    while (place > 0 && Math.abs(W[start + found[place - 1]]) < size) place--;
    found.splice(place, 0, i);
    if (found.length > n) found.pop();
  }
  return Uint32Array.from(found);
}
