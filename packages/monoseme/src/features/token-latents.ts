import { join } from 'node:path';
import { TableWriter } from './parquet-table.ts';
import { type IndexFile, TOKEN_LATENTS } from './schema.ts';
import type { TokenMassEntry } from './token-mass.ts';

/** Heaviest tokens of a latent that are listed, and latents of a token: the ends of both lists tell little. */
const TOKENS_PER_LATENT = 24;
const LATENTS_PER_TOKEN = 100;
const ROWS_PER_GROUP = 32_768;

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
  const order = Uint32Array.from(tokens, (_, i) => i).sort(
    (a, b) => tokens[a] - tokens[b] || sums[b] - sums[a] || latents[a] - latents[b],
  );
  const table = new TableWriter(TOKEN_LATENTS);
  let listed = 0;
  let last = -1;
  for (const i of order) {
    listed = tokens[i] === last ? listed + 1 : 1;
    last = tokens[i];
    if (listed > LATENTS_PER_TOKEN) continue;
    table.add({
      token: tokens[i],
      latent_index: latents[i],
      n_fired: firings[i],
      mean_activation: sums[i] / counts[tokens[i]],
      share: shares[i],
    });
    if (table.rowsInGroup === ROWS_PER_GROUP) table.endGroup();
  }
  const path = 'token_latents.parquet';
  return { path, ...(await table.finish(join(folder, path))) };
}
