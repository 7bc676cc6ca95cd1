import type { Codes } from '../kernels/contract.ts';
import type { Architecture, Start, Trained } from './architecture.ts';
import type { DictionaryForm } from './dictionary.ts';
import { AUX_K, DEAD_AFTER_TOKENS } from './aux-k.ts';
import { selectedGradients } from './top-k.ts';

/** Share of a new batch in the running mean of the threshold: it remembers about 100 batches. */
const THRESHOLD_RATE = 0.01;

/**
 * BatchTopK with AuxK (Bussmann et al. 2024).
 *
 * Loss       that of TopK, but the k·B largest positive pre-activations of the whole batch are kept
 * Inference  rows one by one: f = h·1[h > θ], θ the mean over batches of the smallest kept value. A running mean,
 *            divided by the weight it has gathered, so that it is right from the first step.
 * Finish     saved as `jumprelu` with θ for every latent, as SAELens does
 * Deviation  with an encoder bias (theirs has none)
 */
export const batchTopK: Architecture = {
  name: 'batchtopk',
  description: 'the k·B largest latents of a batch; a learned threshold for use',
  source: 'Bussmann et al. 2024',
  centersInput: true,
  settings: { k: 32, ...AUX_K },
  defaults: { deadAfterTokens: DEAD_AFTER_TOKENS },
  start: thresholdStart,
  async gradients(step) {
    const { k } = step.settings as { k: number };
    const gradients = await selectedGradients(step, { kind: 'batchTopK', k });
    followThreshold_(step.memory, gradients.acts, k);
    return gradients;
  },
  finish: thresholdForm,
};

/** Memory: running sum of thresholds, and its weight. */
function thresholdStart(): Start {
  return { further: {}, memory: [0, 0] };
}

export function followThreshold_(memory: number[], acts: Codes, k: number): void {
  // With fewer pairs than places every positive one was kept, so the threshold of this batch is 0.
  let smallest = acts.values.length < k * acts.nRows ? 0 : Infinity;
  for (const value of acts.values) smallest = Math.min(smallest, value);
  if (!Number.isFinite(smallest)) return;
  memory[0] = (1 - THRESHOLD_RATE) * memory[0] + THRESHOLD_RATE * smallest;
  memory[1] = (1 - THRESHOLD_RATE) * memory[1] + THRESHOLD_RATE;
}

function thresholdForm({ weights, memory }: Trained): DictionaryForm {
  const threshold = memory[1] > 0 ? memory[0] / memory[1] : 0;
  return {
    architecture: 'jumprelu',
    weights: { ...weights, threshold: new Float32Array(weights.b_enc.length).fill(threshold) },
  };
}
