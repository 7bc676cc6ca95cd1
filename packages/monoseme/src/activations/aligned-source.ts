import { MonosemeError } from '../errors.ts';
import { sha256 } from '../formats/index.ts';
import type { ActivationSource } from './source.ts';

/**
 * The activations of several hook points side by side: row b is [x^1_b | x^2_b | …], all of the same token. The order is
 * that of the arguments; the widths are in `widths`.
 *
 * Sources are aligned when they hold the same contexts in the same order: of one model (or two with one tokenizer) on
 * one set of tokens, or stores harvested so.
 *
 * @throws {MonosemeError} ERR_MISMATCH when contexts, chunks or tokens differ
 */
export async function alignedSource(sources: readonly ActivationSource[]): Promise<ActivationSource> {
  const [first] = sources;
  for (const other of sources.slice(1)) await expectSameTokens(first, other);
  const widths = sources.map(({ dIn }) => dIn);
  const dIn = widths.reduce((sum, width) => sum + width, 0);
  return {
    dIn,
    widths,
    contextSize: first.contextSize,
    nChunks: first.nChunks,
    description: sources.map(({ description }) => description).join(' and '),
    hash: sha256(...sources.map(({ hash }) => `${hash} `)),
    chunkRows: (chunk) => first.chunkRows(chunk),
    readChunk,
    async readRows(chunk, signal) {
      const origins = (await first.readOrigins?.(chunk, signal)) ?? {};
      return { activations: await readChunk(chunk, signal), origins };
    },
    get dropped() {
      return first.dropped;
    },
  };

  async function readChunk(chunk: number, signal?: AbortSignal): Promise<Float32Array> {
    const parts = await Promise.all(sources.map((source) => source.readChunk(chunk, signal)));
    const nRows = first.chunkRows(chunk);
    const rows = new Float32Array(nRows * dIn);
    for (let row = 0, at = 0; row < nRows; row++) {
      for (const [part, width] of widths.entries()) {
        rows.set(parts[part].subarray(row * width, (row + 1) * width), at);
        at += width;
      }
    }
    return rows;
  }
}

async function expectSameTokens(a: ActivationSource, b: ActivationSource): Promise<void> {
  const sameChunks = a.nChunks === b.nChunks && a.contextSize === b.contextSize;
  const last = a.nChunks - 1;
  if (!sameChunks || a.chunkRows(0) !== b.chunkRows(0) || a.chunkRows(last) !== b.chunkRows(last))
    throw mismatch(a, b, 'differ in contexts');
  for (const chunk of new Set([0, last])) {
    const [{ tokenIds: ofA } = {}, { tokenIds: ofB } = {}] = await Promise.all([
      a.readOrigins?.(chunk),
      b.readOrigins?.(chunk),
    ]);
    if (ofA && ofB && ofA.some((token, i) => token !== ofB[i])) throw mismatch(a, b, 'hold other tokens');
  }
}

function mismatch(a: ActivationSource, b: ActivationSource, how: string): MonosemeError {
  return new MonosemeError(
    'ERR_MISMATCH',
    `${a.description} and ${b.description} ${how}.`,
    'Harvest both from the same text with the same options.',
  );
}
