import type { ActivationSource } from '../activations/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { Random } from '../random/index.ts';
import { activationMoments, eigenvectors } from './moments.ts';

function control(name: string, W: Float32Array, b_enc: Float32Array, dIn: number): Dictionary {
  const dSae = W.length / dIn;
  return {
    config: {
      ...{ architecture: 'standard', dIn, dSae, hookName: '', modelName: name, contextSize: undefined },
      ...{ applyBDecToInput: false, metadata: {} },
    },
    weights: { W_enc: W, W_dec: W, b_enc, b_dec: new Float32Array(dIn) },
  };
}

/** The elements of the activation themselves, where they are positive: neurons, as if they were latents. */
export function neurons(dIn: number): Dictionary {
  const W = Float32Array.from({ length: dIn * dIn }, (_, i) => (i % (dIn + 1) === 0 ? 1 : 0));
  return control('neurons', W, new Float32Array(dIn), dIn);
}

/** Random unit directions (normal, scaled to length 1) about the origin, where the product is positive. */
export function randomDirections(dIn: number, n: number, seed: number): Dictionary {
  const random = new Random(seed);
  const W = new Float32Array(n * dIn).map(() => random.normal());
  scaleRows(W, dIn);
  return control('random directions', W, new Float32Array(n), dIn);
}

/**
 * Principal components of the activations about their mean, both directions of each: 2·dIn latents, the strongest
 * first.
 *
 * Eigenvectors of the covariance of at most `maxRows` rows.
 */
export async function principalComponents(
  source: ActivationSource,
  options: { maxRows?: number; signal?: AbortSignal } = {},
): Promise<Dictionary> {
  const { dIn, mean, covariance } = await activationMoments(source, options);
  const { vectors } = eigenvectors(covariance, dIn);
  const W = new Float32Array(2 * dIn * dIn);
  vectors.forEach((vector, i) => {
    W.set(vector, 2 * i * dIn);
    W.set(
      vector.map((value) => -value),
      (2 * i + 1) * dIn,
    );
  });
  const b_enc = Float32Array.from({ length: 2 * dIn }, (_, j) => {
    let product = 0;
    for (let i = 0; i < dIn; i++) product -= W[j * dIn + i] * mean[i];
    return product;
  });
  return control('principal components', W, b_enc, dIn);
}

function scaleRows(W: Float32Array, width: number): void {
  for (let start = 0; start < W.length; start += width) {
    let square = 0;
    for (let i = start; i < start + width; i++) square += W[i] * W[i];
    for (let i = start; i < start + width; i++) W[i] /= Math.sqrt(square);
  }
}
