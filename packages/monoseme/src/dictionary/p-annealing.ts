import { type Architecture, encodeBatch, reconstruct, sharedGradients } from './architecture.ts';
import { total } from './sparse-sum.ts';
import { standard } from './standard.ts';

/** The exponent goes from 1 to its end in so many equal steps, the first after this fraction of the run. */
const STAGES = 10;
const START = 0.15;

/** Weight of a new batch in the running means that set λ anew at each stage: they remember about 10 batches. */
const RATE = 0.1;

/** The slope of f^p grows without bound near 0: activations below this (of E‖x‖/√dIn) get the slope of this. */
const LEAST_ACTIVATION = 1e-2;

/**
 * p-annealing (Karvonen et al. 2024): an Lp penalty whose exponent falls from 1 towards L0.
 *
 * Loss       L = 1/B Σ_b [ ‖x_b − x̂_b‖² + λ α Σ_j f_bj^p ],  f and x̂ as in the standard architecture
 * Gradients  δ_bj = (2⟨e_b, W_dec[j]⟩ + λ α p max(f_bj, f_min)^(p−1))/B
 * Annealing  p from 1 to `finalPower` in 10 equal steps; at each, α ← α · mean(Σ f^p) / mean(Σ f^p'), so that the
 *            penalty does not jump
 * Deviation  the means are running means over about ten batches; f_min bounds the slope; dead latents are resampled;
 *            p ends at 0.2, as in SAEBench's runs (theirs goes on to just above 0)
 */
export const pAnnealing: Architecture = {
  name: 'p-annealing',
  description: 'ReLU and an Lp penalty, p falling from 1 towards 0',
  source: 'Karvonen et al. 2024',
  centersInput: true,
  coefficient: 'l1Coefficient',
  settings: { ...standard.settings, finalPower: 0.2 },
  defaults: {},
  /** Memory: stage, α, running Σ f^p, running Σ f^p', E‖x‖/√dIn. */
  start: (_dSae, inputScale) => ({ further: {}, memory: [0, 1, 0, 0, inputScale] }),
  async gradients(step) {
    const { nRows, memory } = step;
    const finalPower = step.settings.finalPower as number;
    const powerIn = (stage: number) => 1 + (Math.min(stage, STAGES) / STAGES) * (finalPower - 1);
    enterStage_(memory, step.progress);
    const acts = await encodeBatch(step, { kind: 'threshold' });
    const power = powerIn(memory[0]);
    memory[2] += RATE * (sumOfPowers(acts.values, power) - memory[2]);
    memory[3] += RATE * (sumOfPowers(acts.values, powerIn(memory[0] + 1)) - memory[3]);

    const { byLatent, errors } = await reconstruct(step, acts);
    const coefficient = step.coefficient * memory[1];
    const least = LEAST_ACTIVATION * memory[4];
    const { products: deltas, residuals } = errors;
    const penalty = addSlopes_(deltas, acts.values, { power, least, coefficient, nRows });
    const squaredError = total(errors.squaredErrors);
    return {
      ...sharedGradients(step, acts, byLatent, residuals, deltas),
      sums: {
        squaredError,
        l1: total(acts.values),
        l0: acts.values.length,
        loss: squaredError + coefficient * penalty,
      },
    };
  },
  finish: ({ weights }) => ({ architecture: 'standard', weights }),
};

/** δ of the pairs, in place of their products; gives Σ f^p. */
function addSlopes_(
  products: Float32Array,
  values: Float32Array,
  of: { power: number; least: number; coefficient: number; nRows: number },
): number {
  const { power, least, coefficient, nRows } = of;
  let penalty = 0;
  for (let pair = 0; pair < values.length; pair++) {
    const value = values[pair];
    const rise = powerOf(Math.max(value, least), power - 1);
    // f · f^(p−1) is f^p, but for those few below the bound of the slope.
    penalty += value < least ? powerOf(value, power) : value * rise;
    products[pair] = (2 * products[pair] + coefficient * power * rise) / nRows;
  }
  return penalty;
}

/** value^power, in a quarter of the time of `**` and as exact as is needed. */
const powerOf = (value: number, power: number) => Math.exp(power * Math.log(value));

function enterStage_(memory: number[], progress: number): void {
  const due = Math.ceil(Math.max(0, (progress - START) / (1 - START)) * STAGES);
  while (memory[0] < due) {
    if (memory[3] > 0) memory[1] *= memory[2] / memory[3];
    // Until a batch of the new stage is seen, the next exponent's mean is unknown: no further change by it.
    memory[2] = memory[3];
    memory[0]++;
  }
}

/** Of every eighth value: only ratios of such sums are used. */
function sumOfPowers(values: Float32Array, power: number): number {
  let sum = 0;
  for (let i = 0; i < values.length; i += 8) sum += powerOf(values[i], power);
  return sum;
}
