import type { TrainOptions } from './options.ts';

/**
 * Learning rate of a step (counted from 0): linear warm-up, constant, linear decay to 0.
 *
 * With W = warm-up steps, D = decay steps, S = nSteps:
 * min(1, (step + 1) / W) · min(1, (S − step) / D) · learningRate.
 */
export function learningRateAt(step: number, nSteps: number, options: TrainOptions): number {
  const warmUp = ramp(step + 1, options.learningRateWarmUp * nSteps);
  const decay = ramp(nSteps - step, options.learningRateDecay * nSteps);
  return options.learningRate * warmUp * decay;
}

/** Share of λ in force at a step: linear from 0 to 1 over the warm-up. */
export function l1ShareAt(step: number, nSteps: number, options: TrainOptions): number {
  return ramp(step, options.l1WarmUp * nSteps);
}

function ramp(done: number, length: number): number {
  return length <= 0 ? 1 : Math.min(1, done / length);
}
