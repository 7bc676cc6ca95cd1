import type { TrainOptions } from './options.ts';

/**
 * Learning rate of a step (counted from 0): warm-up, constant, decay to 0.
 *
 * With W = warm-up steps, D = decay steps, S = nSteps:
 * r(min(1, (step + 1) / W)) · r(min(1, (S − step) / D)) · learningRate,  r(t) = t (linear) or (1 − cos πt)/2 (cosine).
 */
export function learningRateAt(step: number, nSteps: number, options: TrainOptions): number {
  const warmUp = ramp(step + 1, options.learningRateWarmUp * nSteps);
  const decay = ramp(nSteps - step, options.learningRateDecay * nSteps);
  const shape = (t: number) => (options.learningRateShape === 'cosine' ? (1 - Math.cos(Math.PI * t)) / 2 : t);
  return options.learningRate * shape(warmUp) * shape(decay);
}

/** Share of λ in force at a step: linear from 0 to 1 over the warm-up. */
export function l1ShareAt(step: number, nSteps: number, options: TrainOptions): number {
  return ramp(step, options.l1WarmUp * nSteps);
}

function ramp(done: number, length: number): number {
  return length <= 0 ? 1 : Math.min(1, done / length);
}

/** The steps, counted from 1, after which so large a share of the run is done. */
export function stepsAt(shares: readonly number[], nSteps: number): Set<number> {
  return new Set(shares.map((at) => Math.round(at * nSteps)).filter((step) => step > 0));
}
