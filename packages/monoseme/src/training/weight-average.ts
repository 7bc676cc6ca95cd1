import { currentWeights, furtherVectors, type TrainState } from './parameters.ts';

/** Averages by the name of what they are of: W_enc, b_enc, W_dec, b_dec, W_skip and the further vectors. */
export type WeightAverage = Readonly<Record<string, Float32Array>>;

/** Averages that begin at the weights of a state. */
export function startAverage(state: TrainState): WeightAverage {
  return Object.fromEntries(Object.entries(averaged(state)).map(([name, values]) => [name, values.slice()]));
}

/**
 * Exponential moving averages of all weights (Polyak and Juditsky 1992; an option of Gao et al. 2024), which lose the
 * noise that a learning rate above 0 leaves in them.
 *
 * Formula  w̄ ← w̄ + (1 − β_t)(w − w̄),  β_t = min(β, t/(t + 9)), so that a young average follows closely
 * Mutates  average
 */
export function followWeights_(average: WeightAverage, state: TrainState, decay: number): void {
  const rate = 1 - Math.min(decay, state.step / (state.step + 9));
  for (const [name, values] of Object.entries(averaged(state))) {
    const mean = average[name];
    for (let i = 0; i < mean.length; i++) mean[i] += rate * (values[i] - mean[i]);
  }
}

/** Averages of what each latent has, which begin anew at the weights of latents that were given something else to do. */
export function restartAverage_(state: TrainState, latents: readonly number[]): void {
  const { average, dSae } = state;
  if (!average) return;
  const { b_dec: _b, W_skip: _s, ...ofLatents } = averaged(state);
  for (const [name, values] of Object.entries(ofLatents)) {
    const width = values.length / dSae;
    for (const j of latents) average[name].set(values.subarray(j * width, (j + 1) * width), j * width);
  }
}

function averaged(state: TrainState): Record<string, Float32Array> {
  return { ...(currentWeights(state) as unknown as Record<string, Float32Array>), ...furtherVectors(state) };
}
