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

/**
 * Latents to keep at a step: k₀ + (k − k₀) · step / (kWarmUp · nSteps), rounded, then k; k₀ is initialK, or dIn where that is 0, and
 * dSae at most. undefined for an architecture without k. Source: `k_anneal_steps` of dictionary_learning's trainers.
 */
export function kAt(
  step: number,
  nSteps: number,
  { k, kWarmUp = 0, initialK = 0, dSae }: TrainOptions,
  dIn: number,
): number | undefined {
  if (k === undefined) return undefined;
  const first = Math.min(initialK || dIn, dSae);
  return Math.round(first + (k - first) * ramp(step, kWarmUp * nSteps));
}

function ramp(done: number, length: number): number {
  return length <= 0 ? 1 : Math.min(1, done / length);
}

/** The steps, counted from 1, after which so large a share of the run is done. */
export function stepsAt(shares: readonly number[], nSteps: number): Set<number> {
  return new Set(shares.map((at) => Math.round(at * nSteps)).filter((step) => step > 0));
}
