import { countElements, openRanged, type RangedArrays, toFloats } from '../../formats/index.ts';
import { isStoreDtype, ORIGIN_DTYPES, toUint32 } from '../shard.ts';
import type { SourceRows } from '../source.ts';
import {
  findName,
  type ForeignFile,
  type ForeignNames,
  malformedRows,
  rowsPerPiece,
} from './foreign-file.ts';

const FLOATS: readonly string[] = ['F32', 'F16', 'BF16', 'F64'];

/** A safetensors, `.npy` or `.npz` file. @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT, … */
export async function openForeignArrays(path: string, given: ForeignNames): Promise<ForeignFile> {
  const arrays = await openRanged(path, 'activations');
  const isNpy = path.endsWith('.npy');
  try {
    return await describe(arrays, isNpy ? {} : given, path.endsWith('.safetensors'));
  } catch (error) {
    await arrays.close();
    throw error;
  }
}

async function describe(
  arrays: RangedArrays,
  given: ForeignNames,
  mayBeShard: boolean,
): Promise<ForeignFile> {
  const { path } = arrays;
  const names = arrays.names();
  const candidates: string[] = [];
  for (const name of names) {
    const { dtype, shape } = await arrays.info(name);
    if (FLOATS.includes(dtype) && shape.length >= 2) candidates.push(name);
  }
  const name = findName(path, 'activations', names, given, candidates)!;
  const { dtype, shape } = await arrays.info(name);
  if (!candidates.includes(name) || shape.includes(0))
    throw malformedRows(
      path,
      `"${name}" is ${dtype} [${shape.join(', ')}], not floats [rows, d] or [contexts, tokens, d]`,
    );
  const dIn = shape.at(-1)!;
  const nRows = countElements(shape) / dIn;
  const columns = new Map<'tokenIds' | 'positions', string>();
  for (const role of ['tokenIds', 'positions'] as const) {
    const column = findName(path, role, names, given);
    if (column === undefined) continue;
    const info = await arrays.info(column);
    if (countElements(info.shape) !== nRows || !ORIGIN_DTYPES.includes(info.dtype))
      throw malformedRows(
        path,
        `"${column}" is ${info.dtype} [${info.shape.join(', ')}], not one whole number a row of ${nRows}`,
      );
    columns.set(role, column);
  }
  const read = async (column: string | undefined, from: number, to: number) =>
    column === undefined ? undefined : toUint32(await arrays.elements(column, from, to));
  return {
    ...{ path, dtype, nRows, dIn, name },
    contextSize: shape.length > 2 ? shape.at(-2) : undefined,
    ...(mayBeShard &&
      isStoreDtype(dtype) &&
      dtype !== 'I8' && {
        tensors: {
          activations: name,
          ...(columns.has('tokenIds') && { token_ids: columns.get('tokenIds')! }),
          ...(columns.has('positions') && { positions: columns.get('positions')! }),
        },
      }),
    async *pieces(): AsyncGenerator<SourceRows> {
      const step = rowsPerPiece(dIn);
      for (let from = 0; from < nRows; from += step) {
        const to = Math.min(nRows, from + step);
        yield {
          activations: toFloats(await arrays.elements(name, from * dIn, to * dIn), `"${name}" of ${path}`),
          origins: {
            tokenIds: await read(columns.get('tokenIds'), from, to),
            positions: await read(columns.get('positions'), from, to),
          },
        };
      }
    },
    close: () => arrays.close(),
  };
}
