import type { SchemaElement } from 'hyparquet';
import { ByteWriter, parquetWrite } from 'hyparquet-writer';
import { atomicWrite, sha256, TOOLKIT_VERSION } from '../formats/index.ts';

export type ColumnType = 'int32' | 'float' | 'boolean' | 'string' | 'list<int32>' | 'list<float>';

/** Columns of a table in order, with their types. No column holds nulls. */
export type TableSchema = Readonly<Record<string, ColumnType>>;

type Value = number | boolean | string | ArrayLike<number>;

/** Rows collected column by column. */
export type TableColumns<S extends TableSchema> = { [name in keyof S]: Value[] };

/** One row; a typed array may stand for a list. */
export type TableRow<S extends TableSchema> = { readonly [name in keyof S]: Value };

export function emptyColumns<S extends TableSchema>(schema: S): TableColumns<S> {
  return Object.fromEntries(Object.keys(schema).map((name) => [name, []])) as unknown as TableColumns<S>;
}

export function pushRow<S extends TableSchema>(columns: TableColumns<S>, row: TableRow<S>): void {
  for (const name in columns) {
    const value = row[name];
    // The writer takes plain arrays for lists.
    columns[name].push(ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>) : value);
  }
}

/** A written file, as the manifest lists it. */
export interface WrittenFile {
  readonly bytes: number;
  readonly sha256: string;
  readonly rows: number;
}

/**
 * Write a Parquet table (Snappy). Whole numbers are delta-packed and floats split into byte streams where that is
 * smaller; statistics are kept for the first column only, the one a table is sorted by.
 *
 * @param rowGroups sizes of the row groups, the last one repeated: what one range read brings
 */
export async function writeTable<S extends TableSchema>(
  path: string,
  schema: S,
  columns: TableColumns<S>,
  rowGroups: number | number[],
): Promise<WrittenFile> {
  const names = Object.keys(schema);
  const rows = columns[names[0]].length;
  const writer = new ByteWriter(1 << 16);
  parquetWrite({
    writer,
    schema: schemaElements(schema),
    columnData: names.map((name, i) => ({
      name,
      data: columns[name] as never,
      encoding: encodingOf(schema[name]),
      statistics: i === 0,
    })),
    rowGroupSize: rowGroups,
    createdBy: `monoseme ${TOOLKIT_VERSION}`,
  });
  const bytes = new Uint8Array(writer.getBuffer());
  await atomicWrite(path, bytes);
  return { bytes: bytes.byteLength, sha256: sha256(bytes), rows };
}

function encodingOf(type: ColumnType): 'DELTA_BINARY_PACKED' | 'BYTE_STREAM_SPLIT' | undefined {
  if (type === 'int32' || type === 'list<int32>') return 'DELTA_BINARY_PACKED';
  if (type === 'float' || type === 'list<float>') return 'BYTE_STREAM_SPLIT';
  return undefined;
}

function schemaElements(schema: TableSchema): SchemaElement[] {
  const root: SchemaElement = { name: 'schema', num_children: Object.keys(schema).length };
  return [root, ...Object.entries(schema).flatMap(([name, type]) => columnElements(name, type))];
}

function columnElements(name: string, type: ColumnType): SchemaElement[] {
  const required = { name, repetition_type: 'REQUIRED' } as const;
  if (type === 'int32') return [{ ...required, type: 'INT32' }];
  if (type === 'float') return [{ ...required, type: 'FLOAT' }];
  if (type === 'boolean') return [{ ...required, type: 'BOOLEAN' }];
  if (type === 'string') return [{ ...required, type: 'BYTE_ARRAY', converted_type: 'UTF8' }];
  return [
    { ...required, converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type: 'REQUIRED', type: type === 'list<int32>' ? 'INT32' : 'FLOAT' },
  ];
}
