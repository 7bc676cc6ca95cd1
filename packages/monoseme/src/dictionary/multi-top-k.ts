import type { Codes } from '../kernels/contract.ts';
import type { Buffers } from '../tensor/index.ts';
import { type Architecture, encodeBatch } from './architecture.ts';
import { idleLatents, withAuxK } from './aux-k.ts';
import { type NestedGradients, nestedGradients } from './nested-gradients.ts';
import { codesOfPart } from './sub-codes.ts';
import { total } from './sparse-sum.ts';
import { topK } from './top-k.ts';

/** The second reconstruction has so many times as many latents, and counts so much. */
const WIDER = 4;
const WEIGHT = 1 / 8;

/**
 * Multi-TopK (Gao et al. 2024, section 5.3): what the k largest latents leave is explained by the next ones too, so that
 * the dictionary can be used with more latents than it was trained for.
 *
 * Loss       L = L_k + L_4k / 8 + AuxK,  L_n = 1/B Σ_b ‖x_b − x̂_bn‖²,  x̂_n = W_dec ReLU(TopK_n(W_enc (x − b_dec) + b_enc)) + b_dec
 * Gradients  those of nested reconstructions: the k largest are the first group, the others of the 4k the second
 * Firing     counts the k alone
 * AuxK       as in their code no latent counts as dead that fires in this batch
 * Memory     e_k, e_4k and what AuxK leaves are as large as the batch. No latent that AuxK takes fires, so none needs e_k:
 *            where two arrays are held the two take turns in one place. The bits are the same
 * Finish     saved as TopK with k
 */
export const multiTopK: Architecture = {
  name: 'multi-topk',
  description: 'TopK that reconstructs with k and, at an eighth of the weight, with 4k latents',
  source: 'Gao et al. 2024',
  wider: WIDER,
  centersInput: true,
  settings: topK.settings,
  defaults: topK.defaults,
  async gradients(step) {
    const { dSae, settings } = step;
    const k = settings.k as number;
    const wide = await encodeBatch(step, { kind: 'topK', k: Math.min(WIDER * k, dSae) });
    const groups = groupsByRank(wide, k, step.buffers);
    // The second is computed while the kernels run, before the coefficients take the place of the values.
    const [{ gradients, squaredErrors, input }, acts] = await Promise.all([
      nestedGradients(step, wide, groups, [1, WEIGHT], undefined, wide.values),
      codesOfPart(wide, groups, 0, step.buffers),
    ]);
    // From here on the others are needed by latent alone.
    step.backend.release([wide.latentIndices]);
    const ofBoth = {
      ...gradients,
      acts,
      sums: {
        squaredError: squaredErrors[0],
        l1: total(acts.values),
        l0: acts.values.length,
        loss: squaredErrors[0] + WEIGHT * squaredErrors[1],
      },
    };
    const ofNarrow = { codes: acts, groups: groups.subarray(0, acts.values.length).fill(0), end: 1 };
    const lent = {
      rows: gradients.b_dec.rows,
      restore: () => step.backend.nestedResiduals({ ...input, ...ofNarrow }),
    };
    return withAuxK(step, ofBoth, {
      idle: silentOf(await idleLatents(step), acts),
      explained: (place) => errorsOfNarrow_(place, gradients),
      ...((step.nHeld ?? 3) < 3 && { lent }),
    });
  },
  finish: topK.finish,
};

/** Those of some latents that do not fire in a batch. */
function silentOf(latents: Uint32Array, { dSae, latentIndices }: Codes): Uint32Array {
  const fires = new Uint8Array(dSae);
  for (const latent of latentIndices) fires[latent] = 1;
  return latents.filter((latent) => fires[latent] === 0);
}

/** e_k, which AuxK is to explain: what is kept is e_4k and e_k/w + e_4k, whose place it may take. */
function errorsOfNarrow_(
  errors: Float32Array,
  { b_dec: { rows }, residuals }: NestedGradients['gradients'],
): Float32Array {
  for (let i = 0; i < errors.length; i++) errors[i] = WEIGHT * (rows[i] - residuals[i]);
  return errors;
}

/** 0 for the k largest pairs of each row, as TopK chooses them (ties go to the lower latent), 1 for the others. */
function groupsByRank({ nRows, rowPointers, values }: Codes, k: number, buffers: Buffers): Uint8Array {
  const groups = buffers.bytes('groups', values.length).fill(0);
  const scratch = new Float32Array(WIDER * k);
  for (let row = 0; row < nRows; row++) {
    const [start, end] = [rowPointers[row], rowPointers[row + 1]];
    if (end - start <= k) continue;
    const least = nthLargest_(fill_(scratch, values, start, end), k);
    let places = k;
    for (let pair = start; pair < end; pair++) if (values[pair] > least) places--;
    for (let pair = start; pair < end; pair++) {
      const isTie = values[pair] === least && places > 0;
      if (isTie) places--;
      groups[pair] = isTie || values[pair] > least ? 0 : 1;
    }
  }
  return groups;
}

function fill_(scratch: Float32Array, values: Float32Array, start: number, end: number): Float32Array {
  for (let i = start; i < end; i++) scratch[i - start] = values[i];
  return scratch.subarray(0, end - start);
}

/** The n-th largest value, by Hoare's selection. Mutates values: their order. */
function nthLargest_(values: Float32Array, n: number): number {
  const target = n - 1;
  let [low, high] = [0, values.length - 1];
  while (low < high) {
    const pivot = values[(low + high) >> 1];
    let [i, j] = [low, high];
    while (i <= j) {
      while (values[i] > pivot) i++;
      while (values[j] < pivot) j--;
      if (i <= j) {
        const moved = values[i];
        values[i++] = values[j];
        values[j--] = moved;
      }
    }
    if (target <= j) high = j;
    else if (target >= i) low = i;
    else return values[target];
  }
  return values[target];
}
