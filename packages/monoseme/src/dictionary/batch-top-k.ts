import type { Codes } from '../kernels/contract.ts';
import { type Architecture, encodeBatch, type Step } from './architecture.ts';
import { AUX_K, DEAD_AFTER_TOKENS } from './aux-k.ts';
import { codesOfPart } from './sub-codes.ts';
import { gradientsOfActs, K_WARM_UP } from './top-k.ts';

/** Share of a new batch in the running mean of the threshold: it remembers about 100 batches. */
const THRESHOLD_RATE = 0.01;

/** A latent that is lifted fires so often in the tokens after which it would count as dead. */
const LEAST_FIRINGS = 5;

/** A firing lowers the lift of a latent by this share of the threshold. */
const LIFT_RATE = 0.01;

/**
 * BatchTopK with AuxK (Bussmann et al. 2024).
 *
 * Loss       that of TopK, but the k·B largest positive pre-activations of the whole batch are kept
 * Inference  rows one by one: f = h·1[h > θ], θ the mean over batches of the smallest kept value. A running mean,
 *            divided by the weight it has gathered, so that it is right from the first step. Of a run that has not come to
 *            choose from batches (a checkpoint, byRow 1) the mean over rows of the smallest kept value, which is near it
 * By row     in the first `byRow` of the run (until the learning rate falls) the k largest of every row are kept, as in
 *            TopK: a row in which little is active has places over for latents that stand for nothing yet, and these learn.
 *            A batch gives such places away.
 * Lift       a latent that fires less often than five times in `deadAfterTokens` tokens is chosen by h + l instead of h:
 *            l ← l + 0.01 θ (5 B / deadAfterTokens − firings of the batch), within 0 … θ. Without it latents that the others
 *            have no use for never reach the threshold of the batch, and die.
 * Finish     saved as `jumprelu` with the thresholds θ − l
 * Deviation  with an encoder bias (theirs has none); by row at the start (byRow 0 is theirs); the lift; AuxK as Gao et al.
 *            have it (theirs adds b_dec to its reconstruction and does not weigh it by what is left)
 */
export const batchTopK: Architecture = {
  name: 'batchtopk',
  description: 'the k·B largest latents of a batch; a learned threshold for use',
  source: 'Bussmann et al. 2024',
  centersInput: true,
  settings: { k: 32, ...K_WARM_UP, byRow: 0.8, ...AUX_K, faintBelow: 0 },
  defaults: { deadAfterTokens: DEAD_AFTER_TOKENS },
  /** Memory: running sum of thresholds, its weight, the threshold of the last batch; 1 while they are those of rows. */
  start: (dSae) => ({ further: { lift: new Float32Array(dSae) }, memory: [0, 0, 0, 0] }),
  async gradients(step) {
    const acts = await encodeLifted(step);
    return { ...(await gradientsOfActs(step, acts)), further: { lift: new Float64Array(step.dSae) } };
  },
  finish({ weights, further, memory }) {
    const threshold = memory[1] > 0 ? memory[0] / memory[1] : 0;
    const { lift } = further;
    return {
      architecture: 'jumprelu',
      weights: { ...weights, threshold: lift.map((value) => Math.max(0, threshold - value)) },
    };
  },
};

/** Thresholds of batches that follow each other differ by less, as a rule. */
const GUESS = 0.97;

/**
 * Codes by BatchTopK of h + lift (at the start of the run by TopK of h); their values are h.
 *
 * Mutates step.memory and step.further.lift
 */
export async function encodeLifted(step: Step): Promise<Codes> {
  const { encoderBias, further, memory, settings, deadAfterSteps } = step;
  const { lift } = further;
  const k = settings.k as number;
  if (step.progress < (settings.byRow as number)) {
    const acts = await encodeBatch(step, { kind: 'topK', k });
    memory[3] = 1;
    followThreshold_(memory, meanOfLeast(acts, k));
    return acts;
  }
  if (memory[3] === 1) memory.fill(0);
  const b_enc = encoderBias.map((bias, j) => bias + lift[j]);
  const guess = GUESS * (memory[2] ?? 0);
  const lifted = await encodeBatch(step, { kind: 'batchTopK', k, guess }, { b_enc });
  const threshold = leastOfBatch(lifted, k);
  followThreshold_(memory, threshold);
  memory[2] = threshold;
  const acts = withoutLift_(lifted, lift);
  // A lift of θ at most: beyond it, latents would be chosen that are not active at all.
  const most = memory[1] > 0 ? memory[0] / memory[1] : 0;
  const unit = LIFT_RATE * most;
  const floor = LEAST_FIRINGS / deadAfterSteps;
  const { latentIndices } = acts;
  for (let j = 0; j < lift.length; j++) lift[j] += unit * floor;
  for (let pair = 0; pair < latentIndices.length; pair++) lift[latentIndices[pair]] -= unit;
  for (let j = 0; j < lift.length; j++) lift[j] = Math.min(most, Math.max(0, lift[j]));
  return acts;
}

/** The same pairs with h in place of h + lift, those that are not active left out. */
function withoutLift_(lifted: Codes, lift: Float32Array): Codes {
  const { latentIndices, values } = lifted;
  let nActive = 0;
  for (let pair = 0; pair < values.length; pair++) {
    values[pair] -= lift[latentIndices[pair]];
    if (values[pair] > 0) nActive++;
  }
  if (nActive === values.length) return lifted;
  const isActive = Uint8Array.from(values, (value) => (value > 0 ? 1 : 0));
  return codesOfPart(lifted, isActive, 1);
}

function followThreshold_(memory: number[], threshold: number): void {
  memory[0] = (1 - THRESHOLD_RATE) * memory[0] + THRESHOLD_RATE * threshold;
  memory[1] = (1 - THRESHOLD_RATE) * memory[1] + THRESHOLD_RATE;
}

/** The smallest of the k·B kept values; with fewer every positive one was kept, so the threshold of this batch is 0. */
function leastOfBatch({ nRows, values }: Codes, k: number): number {
  if (values.length < k * nRows) return 0;
  let least = Infinity;
  for (let pair = 0; pair < values.length; pair++) least = Math.min(least, values[pair]);
  return least;
}

/** Mean over the rows of the smallest of their k kept values, 0 of a row with fewer. */
function meanOfLeast({ nRows, rowPointers, values }: Codes, k: number): number {
  let sum = 0;
  for (let row = 0; row < nRows; row++) {
    const end = rowPointers[row + 1];
    if (end - rowPointers[row] < k) continue;
    let least = Infinity;
    for (let pair = rowPointers[row]; pair < end; pair++) least = Math.min(least, values[pair]);
    sum += least;
  }
  return sum / nRows;
}
