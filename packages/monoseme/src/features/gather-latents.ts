import { setImmediate as nextTurn } from 'node:timers/promises';
import type { ActivationSource } from '../activations/index.ts';
import type { TokenSequence } from '../corpus/index.ts';
import { type Dictionary, encode, type Neighbours, nearestLatents } from '../dictionary/index.ts';
import { GOES_ON, interrupted, isInterruption, throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { type BuilderOptions, FeatureIndexBuilder } from './feature-index-builder.ts';
import { type FeatureMap, featureMap, MAP_NEIGHBOURS } from './feature-map.ts';
import { type CheckpointPlace, IndexCheckpoint } from './index-checkpoint.ts';

export interface GatherInput {
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  readonly source: ActivationSource;
  readonly tokenSet: { readonly tokens: TokenSequence };
  readonly options: BuilderOptions;
  readonly checkpoints: CheckpointPlace;
  readonly signal?: AbortSignal;
  /** In tokens. */
  readonly onProgress?: (done: number) => void;
}

export interface GatheredLatents {
  readonly builder: FeatureIndexBuilder;
  /** [dSae]: the nearest decoder directions of each latent. */
  readonly neighbours: readonly Neighbours[];
  readonly map: FeatureMap;
}

/** The pass over the text, and meanwhile the map, which needs the dictionary alone. */
export async function gatherLatents(input: GatherInput): Promise<GatheredLatents> {
  const { dictionary, backend, options } = input;
  const failed = new AbortController();
  const signal = input.signal ? AbortSignal.any([input.signal, failed.signal]) : failed.signal;
  const neighbours: Neighbours[] = [];
  const { W_dec } = dictionary.weights;
  for await (const near of nearestLatents(backend, W_dec, dictionary.config.dIn, MAP_NEIGHBOURS, signal))
    neighbours.push(near);
  const map = featureMap(neighbours, options.seed, signal);
  // Its failure is met below.
  map.catch(() => {});
  try {
    const builder = await gather(input);
    return { builder, neighbours, map: await map };
  } catch (error) {
    failed.abort();
    throw error;
  }
}

/**
 * One pass: while the builder works on a chunk, the next is encoded and the one after it is read. A pass that was killed
 * goes on from its checkpoint.
 */
async function gather(input: GatherInput): Promise<FeatureIndexBuilder> {
  const { dictionary, backend, source, signal, onProgress } = input;
  const checkpoint = new IndexCheckpoint('pass', input.checkpoints);
  const builder = await startBuilder(input, checkpoint);
  const read = (chunk: number) =>
    chunk < source.nChunks ? awaited(source.readChunk(chunk, signal)) : undefined;
  const encoded = (chunk: number, x: Promise<Float32Array> | undefined) =>
    x && awaited(x.then((rows) => encode(dictionary, backend, rows, source.chunkRows(chunk))));
  const first = chunkAt(source, builder.nTokens)!;
  let rows = read(first);
  let codes = encoded(first, rows);
  let nextRows = read(first + 1);
  try {
    for (let chunk = first; chunk < source.nChunks; chunk++) {
      throwIfAborted(signal);
      const [x, found] = [await rows!, await codes!];
      [rows, codes, nextRows] = [nextRows, encoded(chunk + 1, nextRows), read(chunk + 2)];
      // The model hears of its next chunk before the builder takes this thread.
      await nextTurn();
      builder.addBatch(found, x, builder.nTokens);
      source.recycle?.(x);
      if (checkpoint.isDue) await checkpoint.write(builder.arrays(), builder.counts);
      onProgress?.(builder.nTokens);
    }
  } catch (error) {
    if (!isInterruption(error)) throw error;
    await checkpoint.write(builder.arrays(), builder.counts);
    throw interrupted(GOES_ON);
  }
  return builder;
}

/** A builder that holds what the checkpoint has, or nothing. */
async function startBuilder(
  { source, tokenSet, options }: GatherInput,
  checkpoint: IndexCheckpoint,
): Promise<FeatureIndexBuilder> {
  const builder = new FeatureIndexBuilder(tokenSet.tokens, options);
  const isResumed = await checkpoint.read((counts) =>
    chunkAt(source, counts['nTokens']) === undefined ? undefined : builder.resume(counts),
  );
  return isResumed || builder.nTokens === 0 ? builder : new FeatureIndexBuilder(tokenSet.tokens, options);
}

/** The chunk that begins at a token, `nChunks` for the end; undefined when none does. */
function chunkAt(source: ActivationSource, token: number): number | undefined {
  let start = 0;
  for (let chunk = 0; chunk <= source.nChunks; chunk++) {
    if (start === token) return chunk;
    if (chunk < source.nChunks) start += source.chunkRows(chunk);
  }
  return undefined;
}

/** A promise whose failure is met when its turn comes, not as an unhandled one before. */
function awaited<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {});
  return promise;
}
