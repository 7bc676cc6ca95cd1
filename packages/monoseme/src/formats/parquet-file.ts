import { open } from 'node:fs/promises';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { decompress as unzstd } from 'fzstd';
import {
  type AsyncBuffer,
  type Compressors,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
} from 'hyparquet';
import { fileError, MonosemeError } from '../errors.ts';

export interface ParquetColumn {
  readonly name: string;
  readonly isList: boolean;
}

/** A row group: what is read at once. `bytes` is how long its columns say they are, uncompressed. */
export interface RowGroup {
  readonly rowStart: number;
  readonly rowEnd: number;
  bytes(columns: readonly string[]): number;
}

/** A Parquet file that somebody else wrote, read by rows. */
export interface ParquetFile {
  readonly columns: readonly ParquetColumn[];
  readonly nRows: number;
  rowGroups(): RowGroup[];
  rows(columns: readonly string[], rowStart: number, rowEnd: number): Promise<Record<string, unknown>[]>;
  close(): Promise<void>;
}

/** Beside Snappy, which the reader has itself. LZ4 is not among them: files of data sets do not use it. */
const COMPRESSORS: Compressors = {
  GZIP: (bytes, length) => gunzipSync(bytes, { maxOutputLength: length }),
  BROTLI: (bytes, length) => brotliDecompressSync(bytes, { maxOutputLength: length }),
  ZSTD: (bytes) => unzstd(bytes),
};

/**
 * Open a Parquet file for reading.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE; ERR_FORMAT here and on reading, when it is not what it says
 */
export async function openParquet(path: string): Promise<ParquetFile> {
  const handle = await open(path, 'r').catch((error: unknown) => {
    throw fileError(error, `read ${path}`);
  });
  try {
    const file = asyncBuffer(handle, (await handle.stat()).size);
    const metadata = await reading(path, () => parquetMetadataAsync(file));
    return {
      columns: topColumns(metadata),
      nRows: Number(metadata.num_rows),
      rowGroups: () => rowGroups(metadata),
      rows: (columns, rowStart, rowEnd) =>
        reading(path, () =>
          parquetReadObjects({
            ...{ file, metadata, rowStart, rowEnd, columns: [...columns] },
            compressors: COMPRESSORS,
          }),
        ),
      close: () => handle.close(),
    };
  } catch (error) {
    await handle.close();
    throw error;
  }
}

function asyncBuffer(handle: Awaited<ReturnType<typeof open>>, size: number): AsyncBuffer {
  return {
    byteLength: size,
    async slice(start, end = size) {
      const bytes = new Uint8Array(Math.max(0, Math.min(end, size) - start));
      const { bytesRead } = await handle.read(bytes, 0, bytes.length, start);
      return bytes.buffer.slice(0, bytesRead);
    },
  };
}

async function reading<T>(path: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    if (error instanceof MonosemeError) throw error;
    const reason = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new MonosemeError('ERR_FORMAT', `${path} cannot be read as Parquet: ${reason}.`, 'Write it again.');
  }
}

function topColumns({ schema }: FileMetaData): ParquetColumn[] {
  const top: ParquetColumn[] = [];
  for (let i = 1, skip = 0; i < schema.length; i++) {
    const children = schema[i].num_children ?? 0;
    if (skip > 0) skip += children - 1;
    else {
      top.push({ name: schema[i].name, isList: children > 0 || schema[i].repetition_type === 'REPEATED' });
      skip = children;
    }
  }
  return top;
}

function rowGroups({ row_groups }: FileMetaData): RowGroup[] {
  let rowStart = 0;
  return row_groups.map((group) => {
    const from = rowStart;
    rowStart += Number(group.num_rows);
    return {
      rowStart: from,
      rowEnd: rowStart,
      bytes: (columns) =>
        group.columns
          .filter(({ meta_data }) => columns.includes(meta_data?.path_in_schema[0] ?? ''))
          .reduce((sum, { meta_data }) => sum + Number(meta_data!.total_uncompressed_size), 0),
    };
  });
}
