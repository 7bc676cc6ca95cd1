import type { Architecture } from './architecture.ts';
import { batchTopK } from './batch-top-k.ts';

/**
 * Crosscoder with BatchTopK sparsity (Minder et al. 2025), whose latents are not torn towards one source by a penalty
 * on the norms of the others.
 *
 * Loss       that of BatchTopK on the rows x = [x^1 … x^S], f = ReLU(BatchTopK_k(W_enc x + b_enc))
 * Deviation  theirs selects by f_j Σ_s ‖W^s_dec[j]‖ with free norms; here the whole row of W_dec has length 1, which
 *            fixes the same freedom, and selection is by f_j
 */
export const batchTopKCrosscoder: Architecture = {
  ...batchTopK,
  name: 'batchtopk-crosscoder',
  description: 'latents shared by several hook points, the k·B largest of a batch',
  source: 'Minder et al. 2025',
  rows: 'sources',
  centersInput: false,
};
