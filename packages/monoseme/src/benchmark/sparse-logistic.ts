import type { Codes } from '../kernels/contract.ts';

const MAX_STEPS = 500;
const TOLERANCE = 1e-6;

/**
 * Logistic probe on sparse rows with an L1 penalty, which leaves weights at 0: a way to choose latents.
 *
 * Formula  minimum of mean_i c_i log(1 + exp(−y_i z_i)) + l1 ‖w‖₁, with z = ⟨w, f⟩ + b, y = ±1, c = 1 for the others and
 *          (number of others / number of the class) for the class
 * Source   the probe by which SAEBench's absorption chooses latents; solved to its minimum (FISTA with restarts, Beck and
 *          Teboulle 2009, O'Donoghue and Candès 2015) where SAEBench takes 50 epochs of Adam
 *
 * @param rows which rows of the codes; `isPositive` is beside them, with both values in it
 * @returns the weights [dSae]
 */
export function sparseLogistic(
  codes: Codes,
  rows: Uint32Array,
  isPositive: Uint8Array,
  l1: number,
): Float64Array {
  const size = codes.dSae + 1;
  const nPositive = isPositive.reduce((sum, one) => sum + one, 0);
  const ownWeight = (rows.length - nPositive) / nPositive;
  const gradient = new Float64Array(size);
  const loss = (w: Float64Array, withGradient: boolean): number => {
    let value = 0;
    if (withGradient) gradient.fill(0);
    rows.forEach((row, i) => {
      const [first, end] = [codes.rowPointers[row], codes.rowPointers[row + 1]];
      let z = w[size - 1];
      for (let pair = first; pair < end; pair++) z += w[codes.latentIndices[pair]] * codes.values[pair];
      const [y, weight] = isPositive[i] ? [1, ownWeight / rows.length] : [-1, 1 / rows.length];
      const margin = y * z;
      value += weight * (margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin);
      if (!withGradient) return;
      const factor = (-weight * y) / (1 + Math.exp(margin));
      for (let pair = first; pair < end; pair++)
        gradient[codes.latentIndices[pair]] += factor * codes.values[pair];
      gradient[size - 1] += factor;
    });
    return value;
  };
  let point = new Float64Array(size);
  let ahead = point;
  let momentum = 1;
  let rate = 1;
  for (let step = 0; step < MAX_STEPS; step++) {
    const value = loss(ahead, true);
    const next = new Float64Array(size);
    for (let halving = 0; halving < 60; halving++, rate /= 2) {
      const bound = shrinkStep(next, ahead, gradient, rate, l1);
      if (loss(next, false) <= value + bound) break;
    }
    let [change, turn] = [0, 0];
    for (let i = 0; i < size; i++) {
      change = Math.max(change, Math.abs(next[i] - point[i]));
      turn += (ahead[i] - next[i]) * (next[i] - point[i]);
    }
    // Momentum that leads uphill is dropped.
    const nextMomentum = turn > 0 ? 1 : (1 + Math.sqrt(1 + 4 * momentum * momentum)) / 2;
    const factor = turn > 0 ? 0 : (momentum - 1) / nextMomentum;
    const previous = point;
    point = next;
    ahead = next.map((x, i) => x + factor * (x - previous[i]));
    momentum = nextMomentum;
    if (change < TOLERANCE) break;
    rate *= 1.1;
  }
  return point.slice(0, codes.dSae);
}

/**
 * Write the proximal step from `from` into `next`.
 *
 * @returns what the smooth part may rise by, at most, where the rate is small enough
 */
function shrinkStep(
  next: Float64Array,
  from: Float64Array,
  gradient: Float64Array,
  rate: number,
  l1: number,
): number {
  const last = next.length - 1;
  let bound = 0;
  for (let i = 0; i <= last; i++) {
    const target = from[i] - rate * gradient[i];
    next[i] = i === last ? target : Math.sign(target) * Math.max(0, Math.abs(target) - rate * l1);
    const moved = next[i] - from[i];
    bound += gradient[i] * moved + (moved * moved) / (2 * rate);
  }
  return bound;
}
