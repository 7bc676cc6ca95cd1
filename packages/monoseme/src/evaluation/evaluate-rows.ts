import {
  type ActivationSource,
  columnsOf,
  coordinatesOf,
  readAhead,
  type SourceRows,
  totalRows,
} from '../activations/index.ts';
import { decode, type Dictionary, encode } from '../dictionary/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { MAX_DENSITY_BLOCKS } from './density-intervals.ts';
import { directionFigures } from './directions.ts';
import { emptyTally, type EvaluationReport, evaluationReport, type Tally } from './evaluation-report.ts';
import { expectReconstructs } from './expect-reconstructs.ts';
import { addRow, COLUMN, N_COLUMNS } from './sums.ts';
import { positionGroups, positionNames } from './token-groups.ts';

/** Documents, or samples, are dealt to so many blocks of the bootstrap. */
const MAX_BLOCKS = 4096;
/** Places of an axis that are groups of their own; those of a longer one are grouped by powers of two. */
const MAX_PLACES = 64;

export interface EvaluateRowsInput {
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  /** Activations of any kind: stored ones, or those of a model that reads arrays. */
  readonly source: ActivationSource;
  /** Of a crosscoder, whose sources the rows hold side by side: which of them is measured. */
  readonly part?: number;
  /** Draws the resamples of the intervals. */
  readonly seed?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneRows: number, totalRows: number) => void;
}

/**
 * Measure a dictionary on activations alone: all figures but those of what a model makes of edited ones, which are NaN.
 *
 * Blocks of the bootstrap are documents, or samples of arrays, where the source knows them, else contexts. Of arrays
 * `byPosition` holds a group for each place along each axis, as `patch 3`.
 *
 * @throws {MonosemeError} ERR_OPTION, ERR_MISMATCH as {@link evaluateDictionary}; ERR_EMPTY_TEXT for no rows; ERR_INTERRUPTED,
 * and what reading the source throws
 */
export async function evaluateRows(input: EvaluateRowsInput): Promise<EvaluationReport> {
  const { dictionary, backend, source, part, seed, signal, onProgress } = input;
  const { dIn, dSae } = dictionary.config;
  const { widths = [source.dIn] } = source;
  const width = widths[part ?? 0];
  expectReconstructs(dictionary, part === undefined ? source.dIn : width, source.description, part);
  const total = totalRows(source);
  if (total === 0)
    throw new MonosemeError('ERR_EMPTY_TEXT', `${source.description} has no rows.`, 'Give some.');
  const places = placeGroups(source);
  const groups = {
    blocks: MAX_BLOCKS,
    positions: places.names.length,
    sources: 0,
    densityBlocks: MAX_DENSITY_BLOCKS,
  };
  let begun: Tally | undefined;
  let nDocuments = 0;
  let last = -1;
  for await (const { activations, origins } of readAhead(chunksOf(source), (chunk) =>
    rowsOf(source, chunk, signal),
  )) {
    throwIfAborted(signal);
    const x = columnsOf(activations, widths, part ?? 0);
    const tally = (begun ??= emptyTally(meanRow(x, width), dSae, groups));
    const first = tally.sums.nTokens;
    const nRows = activations.length / dIn;
    const codes = await encode(dictionary, backend, activations, nRows);
    const decoded = await decode(dictionary, backend, codes, activations);
    tally.sums.add(x, columnsOf(decoded, widths, part ?? 0), codes, (sums, row) => {
      const document = origins.documents?.[row] ?? Math.floor((first + row) / source.contextSize);
      if (document !== last) nDocuments++;
      last = document;
      const position = origins.positions?.[row];
      addRow(tally.blocks, document % MAX_BLOCKS, sums, 0);
      if (position !== undefined)
        for (const group of places.of(position)) addRow(tally.positions, group, sums, 0);
      const block = document % MAX_DENSITY_BLOCKS;
      tally.blockTokens[block]++;
      for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++)
        tally.blockFired[block * dSae + codes.latentIndices[pair]]++;
    });
    onProgress?.(tally.sums.nTokens, total);
  }
  const directions = await directionFigures(dictionary, backend, signal);
  const { norms = 0, tokens = 0 } = source.dropped ?? {};
  const of = { nDocuments, nLeftOut: norms + tokens, positions: places.names, sources: [], seed };
  return evaluationReport(of, withoutEmptyBlocks(begun!), directions);
}

const chunksOf = ({ nChunks }: ActivationSource): number[] =>
  Array.from({ length: nChunks }, (_, chunk) => chunk);

async function rowsOf(
  source: ActivationSource,
  chunk: number,
  signal: AbortSignal | undefined,
): Promise<SourceRows> {
  if (source.readRows) return source.readRows(chunk, signal);
  return { activations: await source.readChunk(chunk, signal), origins: {} };
}

function meanRow(x: Float32Array, dIn: number): Float32Array {
  const sums = new Float64Array(dIn);
  for (let row = 0; row < x.length; row += dIn) for (let d = 0; d < dIn; d++) sums[d] += x[row + d];
  return Float32Array.from(sums, (sum) => sum / Math.max(1, x.length / dIn));
}

/** Groups of rows by their positions: of places along the axes of a sample, else of tokens in a context. */
function placeGroups({ axes, contextSize }: ActivationSource): {
  names: string[];
  of: (position: number) => number[];
} {
  if (!axes) {
    const { positions, positionOf } = positionGroups(contextSize);
    return { names: positionNames(positions), of: (position) => [positionOf[position]] };
  }
  const names: string[] = [];
  const groupOf = new Map<string, (place: number) => number>();
  for (const { name, size } of axes) {
    const first = names.length;
    const { positions, positionOf } = positionGroups(size);
    const isShort = size <= MAX_PLACES;
    const places = isShort
      ? Array.from({ length: size }, (_, place) => String(place))
      : positionNames(positions);
    names.push(...places.map((place) => `${name} ${place}`));
    groupOf.set(name, (place) => first + (isShort ? place : positionOf[place]));
  }
  const of = (position: number) =>
    Object.entries(coordinatesOf(position, axes)).map(([name, place]) => groupOf.get(name)!(place));
  return { names, of };
}

/** Documents fill some blocks of the bootstrap alone. */
function withoutEmptyBlocks(tally: Tally): Tally {
  const { blocks, blockFired, blockTokens } = tally;
  const dSae = blockFired.length / blockTokens.length;
  const rowsWith = (table: Float64Array, width: number, isUsed: (row: number) => boolean) => {
    const used = Array.from({ length: table.length / width }, (_, row) => row).filter(isUsed);
    const kept = new Float64Array(used.length * width);
    used.forEach((row, i) => kept.set(table.subarray(row * width, (row + 1) * width), i * width));
    return kept;
  };
  return {
    ...tally,
    blocks: rowsWith(blocks, N_COLUMNS, (block) => blocks[block * N_COLUMNS + COLUMN.tokens] > 0),
    blockFired: rowsWith(blockFired, dSae, (block) => blockTokens[block] > 0),
    blockTokens: blockTokens.filter((n) => n > 0),
  };
}
