import { MonosemeError } from '../errors.ts';
import { sha256 } from '../formats/index.ts';
import { sideBySide } from './columns.ts';
import type { ActivationSource, RowOrigins, SourceRows } from './source.ts';

/**
 * The activations of several hook points side by side: row b is [x^1_b | x^2_b | …], all of the same token. The order is
 * that of the arguments; the widths are in `widths`.
 *
 * Sources are aligned when they hold the same contexts in the same order: of one model (or two with one tokenizer) on
 * one set of tokens, or stores harvested so.
 *
 * @throws {MonosemeError} ERR_MISMATCH when contexts, chunks or tokens differ, here or, for chunks in the middle, when
 *   they are read
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
    modelHashes: sources.map(({ modelHash }) => modelHash),
    // A dictionary says by what it reads first which model it belongs to.
    ...(first.modelHash !== undefined && { modelHash: first.modelHash }),
    ...(first.leftOut && { leftOut: first.leftOut }),
    chunkRows: (chunk) => first.chunkRows(chunk),
    readChunk: async (chunk, signal) => (await readRows(chunk, signal)).activations,
    readRows,
    get dropped() {
      return first.dropped;
    },
  };

  async function readRows(chunk: number, signal?: AbortSignal): Promise<SourceRows> {
    const parts = await Promise.all(sources.map((source) => rowsOf(source, chunk, signal)));
    const { origins } = parts[0];
    const nRows = parts[0].activations.length / widths[0];
    for (const [i, part] of parts.entries())
      if (part.activations.length !== nRows * widths[i] || !sameOrigins(origins, part.origins))
        throw mismatch(first, sources[i], `hold rows of other tokens in chunk ${chunk}`);
    const activations = sideBySide(
      parts.map((part) => part.activations),
      widths,
    );
    return { activations, origins };
  }
}

async function rowsOf(source: ActivationSource, chunk: number, signal?: AbortSignal): Promise<SourceRows> {
  return (
    source.readRows?.(chunk, signal) ?? { activations: await source.readChunk(chunk, signal), origins: {} }
  );
}

/** Whether nothing that is known of both says that the rows are of other tokens. */
function sameOrigins(a: RowOrigins, b: RowOrigins): boolean {
  const same = (x?: Uint32Array, y?: Uint32Array) => !x || !y || x.every((value, i) => value === y[i]);
  return same(a.tokenIds, b.tokenIds) && same(a.positions, b.positions);
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
