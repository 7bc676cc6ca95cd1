import { createReadStream } from 'node:fs';
import { type Data, RecordBatchReader, Type } from 'apache-arrow';
import { fileError, MonosemeError } from '../../errors.ts';
import { decodeFloats } from '../../tensor/index.ts';
import type { SourceRows } from '../source.ts';
import { findName, type ForeignFile, type ForeignNames, malformedRows } from './foreign-file.ts';

/** A column of a record batch without its lists: numbers, and how many of them each list has, from the outside in. */
interface Flat {
  readonly values: ArrayLike<number | bigint>;
  readonly isHalf: boolean;
  readonly sizes: readonly number[];
}

/**
 * An Arrow file as the `datasets` package writes it, of which SAELens's cached activations are made: a column of
 * [contexts, tokens, d] or [rows, d], and columns of whole numbers beside it. A record batch is in memory at a time. The
 * file is read through once to count its rows.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT
 */
export async function openForeignArrow(path: string, given: ForeignNames): Promise<ForeignFile> {
  let nRows = 0;
  let first: Batch | undefined;
  for await (const batch of batches(path, given)) {
    first ??= batch;
    nRows += batch.nRows;
  }
  if (!first) throw malformedRows(path, 'it has no rows');
  const { dIn, contextSize, name, isHalf } = first;
  return {
    ...{ path, nRows, dIn, contextSize, name, dtype: isHalf ? 'F16' : 'F32' },
    async *pieces() {
      for await (const batch of batches(path, given)) {
        if (batch.dIn !== dIn || batch.contextSize !== contextSize)
          throw malformedRows(path, 'its rows are of several lengths');
        yield batch;
      }
    },
    close: async () => {},
  };
}

interface Batch extends SourceRows {
  readonly nRows: number;
  readonly dIn: number;
  readonly contextSize: number | undefined;
  readonly name: string;
  readonly isHalf: boolean;
}

async function* batches(path: string, given: ForeignNames): AsyncGenerator<Batch> {
  const stream = createReadStream(path);
  try {
    const reader = await RecordBatchReader.from(stream);
    await reader.open();
    const names = reader.schema.fields.map(({ name }) => name);
    const lists = reader.schema.fields.filter(({ type }) => isNestedFloats(type)).map(({ name }) => name);
    const name = findName(path, 'activations', names, given, lists)!;
    for await (const batch of reader) {
      if (batch.numRows === 0) continue;
      const data = (column: string) => batch.getChild(column)!.data[0];
      const { values, isHalf, sizes } = flatten(path, name, data(name));
      const dIn = sizes.at(-1) ?? 0;
      const nRows = values.length / dIn;
      const numbers = (column: string | undefined) => {
        if (column === undefined) return undefined;
        const found = flatten(path, column, data(column)).values as ArrayLike<number>;
        if (found.length === nRows) return Uint32Array.from(found, Number);
        throw malformedRows(path, `"${column}" has ${found.length} numbers for ${nRows} rows`);
      };
      const activations = isHalf
        ? decodeFloats(bytesOf(values as Uint16Array), 'F16')
        : Float32Array.from(values as ArrayLike<number>);
      const origins = {
        tokenIds: numbers(findName(path, 'tokenIds', names, given)),
        positions: numbers(findName(path, 'positions', names, given)),
      };
      const contextSize = sizes.length > 1 ? sizes.at(-2) : undefined;
      yield { activations, origins, nRows, dIn, contextSize, name, isHalf };
    }
  } catch (error) {
    if (error instanceof MonosemeError) throw error;
    if (error instanceof Error && 'syscall' in error) throw fileError(error, `read ${path}`);
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new MonosemeError('ERR_FORMAT', `${path} cannot be read as Arrow: ${reason}.`, 'Save it again.');
  } finally {
    stream.destroy();
  }
}

function isNestedFloats(type: { typeId: Type; children?: { type: { typeId: Type } }[] }): boolean {
  const isList = type.typeId === Type.List || type.typeId === Type.FixedSizeList;
  const child = type.children?.[0]?.type as Parameters<typeof isNestedFloats>[0] | undefined;
  return isList && child !== undefined && (child.typeId === Type.Float || isNestedFloats(child));
}

/** Take the lists off a column; all lists of one level must have one length, and nothing may be null. */
function flatten(path: string, name: string, column: Data): Flat {
  let data = column;
  const sizes: number[] = [];
  let from = 0;
  let to = data.length;
  for (;;) {
    if (data.nullCount > 0) throw malformedRows(path, `"${name}" holds nulls`);
    const { typeId } = data.type as { typeId: Type };
    if (typeId !== Type.List && typeId !== Type.FixedSizeList) break;
    if (typeId === Type.FixedSizeList) {
      const { listSize } = data.type as unknown as { listSize: number };
      [from, to] = [(from + data.offset) * listSize, (to + data.offset) * listSize];
      sizes.push(listSize);
    } else {
      const offsets = data.valueOffsets as Int32Array;
      const size = offsets[from + 1] - offsets[from];
      for (let i = from; i < to; i++)
        if (offsets[i + 1] - offsets[i] !== size)
          throw malformedRows(path, `the lists of "${name}" are of several lengths`);
      [from, to] = [offsets[from], offsets[to]];
      sizes.push(size);
    }
    data = data.children[0];
  }
  const values = data.values as Uint16Array;
  const isHalf =
    (data.type as { typeId: Type; precision?: number }).typeId === Type.Float &&
    values instanceof Uint16Array;
  if (to > values.length) throw malformedRows(path, `"${name}" is cut off`);
  return { values: values.subarray(from, to), isHalf, sizes };
}

const bytesOf = (values: Uint16Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
