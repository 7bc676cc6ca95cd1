import { writeByToken } from './by-token.ts';
import { type IndexFile, TOKEN_LATENTS } from './schema.ts';
import { rough } from './short-float.ts';
import type { TokenMassEntry } from './token-mass.ts';

/** Heaviest tokens of a latent that are listed: the end of the list tells little. */
const TOKENS_PER_LATENT = 24;

/**
 * Write `token_latents.parquet`, the inverted index: search by token needs neither the model nor the network.
 *
 * @param massOf the tokens that carry a latent's activation, largest sum first, and the sum of all of it
 * @param counts [vocab]: occurrences of every token in the corpus
 */
export async function writeTokenLatents(
  folder: string,
  massOf: (latent: number) => { readonly entries: readonly TokenMassEntry[]; readonly total: number },
  dSae: number,
  counts: Uint32Array,
): Promise<IndexFile> {
  const tokens: number[] = [];
  const latents: number[] = [];
  const sums: number[] = [];
  const firings: number[] = [];
  const shares: number[] = [];
  for (let latent = 0; latent < dSae; latent++) {
    const { entries, total } = massOf(latent);
    for (const entry of entries.slice(0, TOKENS_PER_LATENT)) {
      tokens.push(entry.token);
      latents.push(latent);
      sums.push(entry.sum);
      firings.push(entry.nFired);
      shares.push(entry.sum / total);
    }
  }
  const entries = { tokens, weights: sums };
  return writeByToken(folder, 'token_latents.parquet', TOKEN_LATENTS, entries, dSae, (i) => ({
    token: tokens[i],
    latent_index: latents[i],
    n_fired: firings[i],
    mean_activation: rough(sums[i] / counts[tokens[i]]),
    share: rough(shares[i]),
  }));
}
