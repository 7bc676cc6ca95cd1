import { checkGeometricMedian } from '../check.ts';
import type { GeometricMedianInput } from '../contract.ts';

const LEAST_DISTANCE = 1e-6;

/** One step of Weiszfeld: the mean of the points, each weighted by 1 / its distance from the estimate. */
function weiszfeld(input: GeometricMedianInput, estimate: Float64Array): Float64Array {
  const { points, nRows, width } = input;
  const next = new Float64Array(width);
  let totalWeight = 0;
  for (let row = 0; row < nRows; row++) {
    let squared = 0;
    for (let i = 0; i < width; i++) squared += (points[row * width + i] - estimate[i]) ** 2;
    const weight = 1 / Math.max(Math.sqrt(squared), LEAST_DISTANCE);
    totalWeight += weight;
    for (let i = 0; i < width; i++) next[i] += weight * points[row * width + i];
  }
  for (let i = 0; i < width; i++) next[i] /= totalWeight;
  return next;
}

/** See `KernelBackend.geometricMedian`. */
export function geometricMedian(input: GeometricMedianInput): Float32Array {
  checkGeometricMedian(input);
  const { points, nRows, width } = input;
  let estimate: Float64Array = new Float64Array(width);
  for (let i = 0; i < nRows * width; i++) estimate[i % width] += points[i] / nRows;
  for (let iteration = 0; iteration < input.maxIterations; iteration++) {
    const next = weiszfeld(input, estimate);
    let moved = 0;
    for (let i = 0; i < width; i++) moved += (next[i] - estimate[i]) ** 2;
    estimate = next;
    if (Math.sqrt(moved) < input.tolerance) break;
  }
  return Float32Array.from(estimate);
}
