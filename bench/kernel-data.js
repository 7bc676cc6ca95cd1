/** Seeded inputs for the kernel benchmarks: Gaussian rows and weights, and a bias that gives the wanted L0. */
import { Random } from '../packages/monoseme/dist/random/index.js';

/** @param {number} n how many @param {number} scale standard deviation */
export function normals(random, n, scale = 1) {
  const values = new Float32Array(n);
  for (let i = 0; i < n; i++) values[i] = scale * random.normal();
  return values;
}

/** The probability that a standard normal number exceeds z (Abramowitz and Stegun 26.2.17; error below 1e-7). */
function normalTail(z) {
  const t = 1 / (1 + 0.2316419 * z);
  const series =
    t * (0.31938153 + t * (-0.356563782 + t * (1.781477937 + t * (-1.821255978 + t * 1.330274429))));
  return (Math.exp((-z * z) / 2) / Math.sqrt(2 * Math.PI)) * series;
}

/** The z ≥ 0 that a standard normal number exceeds with this probability (≤ 1/2). */
function normalQuantile(probability) {
  let [low, high] = [0, 10];
  for (let i = 0; i < 60; i++) {
    const middle = (low + high) / 2;
    if (normalTail(middle) > probability) low = middle;
    else high = middle;
  }
  return low;
}

/** Pre-activations are standard normal numbers plus the bias. */
export function encodeData({ nRows, dIn, dSae, l0 }, seed = 1) {
  const random = new Random(seed);
  return {
    nRows,
    dIn,
    dSae,
    x: normals(random, nRows * dIn),
    W_enc: normals(random, dSae * dIn, 1 / Math.sqrt(dIn)),
    b_enc: new Float32Array(dSae).fill(-normalQuantile(Math.min(0.5, l0 / dSae))),
  };
}
