import { type Dictionary, nearestDirections, outputWidth } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';

/** Latents of the other dictionary that are kept of each. */
export const MATCHES_PER_LATENT = 5;
/** One match: int32 latent, float32 cosine. */
const MATCH_BYTES = 8;

/**
 * The latents of `to` whose directions are nearest to those of `from`, as a flat file: for each latent of `from` in order
 * {@link MATCHES_PER_LATENT} matches, the nearest first, each an int32 latent and a float32 cosine, little-endian; −1
 * and 0 where there are fewer with a positive cosine.
 *
 * Directions can be compared where both dictionaries reconstruct the same activations. Cost 2·dSae·dSae·dOut.
 */
export async function packMatches(
  backend: KernelBackend,
  from: Dictionary,
  to: Dictionary,
  signal?: AbortSignal,
): Promise<Uint8Array<ArrayBuffer>> {
  const rows: (readonly [number, number])[][] = [];
  const [a, b] = [from.weights.W_dec, to.weights.W_dec];
  const near = nearestDirections(backend, a, b, outputWidth(from), MATCHES_PER_LATENT, signal);
  for await (const { latents, cosines } of near)
    rows.push(Array.from(latents, (latent, i): [number, number] => [latent, cosines[i]]));
  return packRows(rows);
}

/** Rows of at most {@link MATCHES_PER_LATENT} pairs of a latent and how near it is, as {@link packMatches} says. */
export function packRows(rows: readonly (readonly (readonly [number, number])[])[]): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(rows.length * MATCHES_PER_LATENT * MATCH_BYTES);
  const view = new DataView(bytes.buffer);
  rows.forEach((row, from) => {
    for (let i = 0; i < MATCHES_PER_LATENT; i++) {
      const at = (from * MATCHES_PER_LATENT + i) * MATCH_BYTES;
      const [latent, nearness] = row[i] ?? [-1, 0];
      view.setInt32(at, latent, true);
      view.setFloat32(at + 4, nearness, true);
    }
  });
  return bytes;
}
