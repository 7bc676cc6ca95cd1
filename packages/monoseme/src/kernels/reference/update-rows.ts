import { checkUpdateRows, corruptCodes } from '../check.ts';
import type { UpdateRowsInput } from '../contract.ts';

function expectPairs(input: UpdateRowsInput): void {
  const { nRows, dSae, latentPointers, rowIndices, pairIndices } = input.byLatent;
  const inside =
    latentPointers[0] === 0 &&
    latentPointers.every((pointer, i) => i === dSae || pointer <= latentPointers[i + 1]) &&
    rowIndices.every((row) => row < nRows) &&
    pairIndices.every((pair) => pair < pairIndices.length);
  if (!inside) throw corruptCodes('byLatent holds a pointer, row or pair outside the batch.');
}

/** g = Σ over the latent's pairs of coefficient · row. */
function gradientOf(input: UpdateRowsInput, latent: number, gradient: Float64Array): void {
  const { byLatent, width, coefficients, rows } = input;
  gradient.fill(0);
  for (let i = byLatent.latentPointers[latent]; i < byLatent.latentPointers[latent + 1]; i++) {
    const coefficient = coefficients[byLatent.pairIndices[i]];
    const start = byLatent.rowIndices[i] * width;
    for (let c = 0; c < width; c++) gradient[c] += coefficient * rows[start + c];
  }
}

/** g ← g − ⟨g, w⟩ w / ‖w‖². */
function removeParallelPart(gradient: Float64Array, weights: Float32Array): void {
  let product = 0;
  let squaredNorm = 0;
  for (let c = 0; c < weights.length; c++) {
    product += gradient[c] * weights[c];
    squaredNorm += weights[c] * weights[c];
  }
  if (squaredNorm === 0) return;
  for (let c = 0; c < weights.length; c++) gradient[c] -= (product / squaredNorm) * weights[c];
}

/** w ← w / ‖w‖. */
function normalise(weights: Float64Array): void {
  let squaredNorm = 0;
  for (const weight of weights) squaredNorm += weight * weight;
  if (squaredNorm === 0) return;
  for (let c = 0; c < weights.length; c++) weights[c] /= Math.sqrt(squaredNorm);
}

/** See `KernelBackend.updateRows`. Each weight and moment is worked out in f64 and rounded once. */
export function updateRows(input: UpdateRowsInput): void {
  checkUpdateRows(input);
  expectPairs(input);
  const { width, constraint } = input;
  const { learningRate, beta1, beta2, epsilon, step } = input.adam;
  const correction1 = 1 - beta1 ** step;
  const correction2 = 1 - beta2 ** step;
  const gradient = new Float64Array(width);
  const next = new Float64Array(width);
  for (let latent = 0; latent < input.byLatent.dSae; latent++) {
    const weights = input.weights.subarray(latent * width, (latent + 1) * width);
    const firstMoments = input.firstMoments.subarray(latent * width, (latent + 1) * width);
    const secondMoments = input.secondMoments.subarray(latent * width, (latent + 1) * width);
    gradientOf(input, latent, gradient);
    if (constraint === 'unitNorm') removeParallelPart(gradient, weights);
    for (let c = 0; c < width; c++) {
      const m = beta1 * firstMoments[c] + (1 - beta1) * gradient[c];
      const v = beta2 * secondMoments[c] + (1 - beta2) * gradient[c] * gradient[c];
      firstMoments[c] = m;
      secondMoments[c] = v;
      next[c] = weights[c] - (learningRate * (m / correction1)) / (Math.sqrt(v / correction2) + epsilon);
    }
    if (constraint === 'unitNorm') normalise(next);
    weights.set(next);
  }
}
