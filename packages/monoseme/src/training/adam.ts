import type { AdamOptions } from '../kernels/contract.ts';

/** A vector of parameters with its Adam moments. */
export interface AdamVector {
  readonly values: Float32Array;
  readonly firstMoments: Float32Array;
  readonly secondMoments: Float32Array;
}

export function adamVector(values: Float32Array): AdamVector {
  return {
    values,
    firstMoments: new Float32Array(values.length),
    secondMoments: new Float32Array(values.length),
  };
}

/** One Adam step (Kingma and Ba 2015) of scale · gradient on a vector, in place: the dense counterpart of `updateRows`. */
export function adamStep_(parameter: AdamVector, gradient: Float64Array, adam: AdamOptions, scale = 1): void {
  const { values, firstMoments, secondMoments } = parameter;
  const { learningRate, beta1, beta2, epsilon, step } = adam;
  const correction1 = 1 - beta1 ** step;
  const correction2 = 1 - beta2 ** step;
  for (let i = 0; i < values.length; i++) {
    const g = scale * gradient[i];
    firstMoments[i] = beta1 * firstMoments[i] + (1 - beta1) * g;
    secondMoments[i] = beta2 * secondMoments[i] + (1 - beta2) * g * g;
    const mean = firstMoments[i] / correction1;
    const rms = Math.sqrt(secondMoments[i] / correction2);
    values[i] -= (learningRate * mean) / (rms + epsilon);
  }
}
