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
