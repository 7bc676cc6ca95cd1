import {
  countElements,
  type RawTensor,
  readNpy,
  readNpz,
  readSafetensors,
  toFloats,
} from '../../formats/index.ts';
import { isStoreDtype, ORIGIN_DTYPES, toUint32 } from '../shard.ts';
import type { SourceRows } from '../source.ts';
import {
  findName,
  type ForeignFile,
  type ForeignNames,
  malformedRows,
  rowsPerPiece,
} from './foreign-file.ts';

/** A file of arrays that is read by ranges of elements. */
interface RangedArrays {
  readonly path: string;
  names(): readonly string[];
  info(name: string): Promise<{ dtype: string; shape: number[] }>;
  elements(name: string, from: number, to: number): Promise<RawTensor>;
  close(): Promise<void>;
}

const FLOATS: readonly string[] = ['F32', 'F16', 'BF16', 'F64'];

/** @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT, … */
export async function openForeignSafetensors(path: string, names: ForeignNames): Promise<ForeignFile> {
  const file = await readSafetensors(path);
  return openArrays(
    {
      path,
      names: () => file.names(),
      info: async (name) => file.info(name),
      elements: (name, from, to) => file.elements(name, from, to),
      close: () => file.close(),
    },
    names,
    true,
  );
}

/** One array, which holds the activations. @throws as {@link openForeignSafetensors} */
export async function openForeignNpy(path: string): Promise<ForeignFile> {
  const file = await readNpy(path);
  return openArrays(
    {
      path,
      names: () => ['activations'],
      info: async () => ({ dtype: file.header.dtype, shape: file.header.shape }),
      elements: (_, from, to) => file.elements(from, to),
      close: () => file.close(),
    },
    {},
  );
}

/** Arrays of an archive are whole in memory while they are read. @throws as {@link openForeignSafetensors} */
export async function openForeignNpz(path: string, names: ForeignNames): Promise<ForeignFile> {
  const file = await readNpz(path);
  const whole = new Map<string, Promise<RawTensor>>();
  return openArrays(
    {
      path,
      names: () => file.names(),
      info: (name) => file.info(name),
      async elements(name, from, to) {
        if (!whole.has(name)) whole.set(name, file.tensor(name));
        const { dtype, shape, bytes } = await whole.get(name)!;
        const size = bytes.length / Math.max(1, countElements(shape));
        return { dtype, shape: [to - from], bytes: bytes.slice(from * size, to * size) };
      },
      close: () => file.close(),
    },
    names,
  );
}

async function openArrays(
  arrays: RangedArrays,
  given: ForeignNames,
  mayBeShard = false,
): Promise<ForeignFile> {
  try {
    return await describe(arrays, given, mayBeShard);
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
