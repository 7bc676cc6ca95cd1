import { openParquet } from '../../formats/index.ts';
import type { SourceRows } from '../source.ts';
import {
  findName,
  type ForeignFile,
  type ForeignNames,
  malformedRows,
  rowsPerPiece,
} from './foreign-file.ts';

/** A vector, or the vectors of a context. */
type Cell = number[] | number[][];

/**
 * A column of lists, a row (or a context of them) each; columns of whole numbers beside it.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT (no Parquet, no such column, lists of several lengths)
 */
export async function openForeignParquet(path: string, given: ForeignNames): Promise<ForeignFile> {
  const file = await openParquet(path);
  try {
    const names = file.columns.map(({ name }) => name);
    const lists = file.columns.filter(({ isList }) => isList).map((column) => column.name);
    const columns = {
      activations: findName(path, 'activations', names, given, lists)!,
      tokenIds: findName(path, 'tokenIds', names, given),
      positions: findName(path, 'positions', names, given),
    };
    const rows = async (rowStart: number, rowEnd: number) => {
      const wanted = Object.values(columns).filter((column) => column !== undefined);
      return cellsToRows(path, await file.rows(wanted, rowStart, rowEnd), columns);
    };
    const nCells = file.nRows;
    if (nCells === 0) throw malformedRows(path, 'it has no rows');
    const first = await rows(0, 1);
    const contextSize = first.nested ? first.nRows : undefined;
    const perCell = contextSize ?? 1;
    return {
      ...{ path, dtype: 'F32', dIn: first.dIn, contextSize, name: columns.activations },
      nRows: nCells * perCell,
      async *pieces() {
        const step = Math.max(1, Math.floor(rowsPerPiece(first.dIn) / perCell));
        for (let from = 0; from < nCells; from += step) {
          const to = Math.min(nCells, from + step);
          const piece = await rows(from, to);
          if (piece.dIn !== first.dIn || piece.nRows !== (to - from) * perCell) throw uneven(path);
          yield piece;
        }
      },
      close: () => file.close(),
    };
  } catch (error) {
    await file.close();
    throw error;
  }
}

function cellsToRows(
  path: string,
  found: Record<string, unknown>[],
  columns: { activations: string; tokenIds?: string; positions?: string },
): SourceRows & { dIn: number; nRows: number; nested: boolean } {
  const cells = found.map((row) => row[columns.activations] as Cell);
  if (!cells.every((cell) => cell !== null && typeof cell === 'object' && cell.length > 0))
    throw malformedRows(path, `"${columns.activations}" does not hold lists of numbers`);
  const nested = typeof cells[0][0] === 'object';
  const vectors = (nested ? cells.flat() : cells) as number[][];
  const dIn = vectors[0].length;
  const activations = new Float32Array(vectors.length * dIn);
  vectors.forEach((vector, row) => {
    if (vector.length !== dIn) throw uneven(path);
    activations.set(vector, row * dIn);
  });
  const numbers = (column: string | undefined) => {
    if (column === undefined) return undefined;
    const values = Uint32Array.from(found.flatMap((row) => row[column] as number).map(Number));
    if (values.length === vectors.length) return values;
    throw malformedRows(path, `"${column}" has ${values.length} numbers for ${vectors.length} rows`);
  };
  const origins = { tokenIds: numbers(columns.tokenIds), positions: numbers(columns.positions) };
  return { activations, origins, dIn, nRows: vectors.length, nested };
}

const uneven = (path: string) => malformedRows(path, 'its rows are of several lengths');
