import type { ActivationSource } from '../activations/index.ts';
import { throwIfAborted } from '../errors.ts';
import { Random } from '../random/index.ts';

/** The chunks of a source in a seeded random order, each once. */
export async function* randomChunks(
  source: ActivationSource,
  seed: number,
  signal?: AbortSignal,
): AsyncGenerator<Float32Array> {
  for (const chunk of new Random(seed).permutation(source.nChunks)) {
    throwIfAborted(signal);
    yield await source.readChunk(chunk, signal);
  }
}

/** nRows rows (fewer when the source has fewer) of chunks in a seeded random order, [nRows, dIn], a fresh array. */
export async function sampleRows(
  source: ActivationSource,
  nRows: number,
  seed: number,
  signal?: AbortSignal,
): Promise<Float32Array> {
  const rows = new Float32Array(nRows * source.dIn);
  let filled = 0;
  for await (const chunk of randomChunks(source, seed, signal)) {
    const taken = chunk.subarray(0, rows.length - filled);
    rows.set(taken, filled);
    filled += taken.length;
    if (filled === rows.length) break;
  }
  return rows.subarray(0, filled);
}
