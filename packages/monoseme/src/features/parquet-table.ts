import type { SchemaElement } from 'hyparquet';
import { ByteWriter, ParquetWriter } from 'hyparquet-writer';
import { atomicWrite, sha256, TOOLKIT_VERSION } from '../formats/index.ts';

/** `few`: numbers of which few are different, written as places in a list of those. */
export type ColumnType =
  | 'int32'
  | 'float'
  | 'boolean'
  | 'string'
  | 'list<int32>'
  | 'list<float>'
  | 'few int32'
  | 'list<few int32>'
  | 'list<few float>';

/** Columns of a table in order, with their types. No column holds nulls. */
export type TableSchema = Readonly<Record<string, ColumnType>>;

type Value = number | boolean | string | ArrayLike<number>;

/** One row; a typed array may stand for a list. */
export type TableRow<S extends TableSchema> = { readonly [name in keyof S]: Value };

/** A written file, as the manifest lists it. */
export interface WrittenFile {
  readonly bytes: number;
  readonly sha256: string;
  readonly rows: number;
}

/**
 * A Parquet table (Snappy) that is written row group by row group: of its rows only those of the group at hand are
 * held, and of the others their compressed bytes.
 *
 * Whole numbers are delta-packed and floats split into byte streams, unless few are different; statistics are kept for the
 * first column only, the one a table is sorted by.
 */
export class TableWriter<S extends TableSchema> {
  readonly #schema: S;
  readonly #bytes = new ByteWriter(1 << 16);
  readonly #writer: ParquetWriter;
  #columns: { readonly [name in keyof S]: Value[] };
  #rowsInGroup = 0;
  #rows = 0;

  constructor(schema: S) {
    this.#schema = schema;
    this.#columns = emptyColumns(schema);
    const createdBy = `monoseme ${TOOLKIT_VERSION}`;
    this.#writer = new ParquetWriter({ writer: this.#bytes, schema: schemaElements(schema), createdBy });
  }

  get rowsInGroup(): number {
    return this.#rowsInGroup;
  }

  add(row: TableRow<S>): void {
    for (const name in this.#columns) {
      const value = row[name];
      // The writer takes plain arrays for lists.
      this.#columns[name].push(ArrayBuffer.isView(value) ? Array.from(value as never) : value);
    }
    this.#rowsInGroup++;
  }

  /** The rows since the last call become one row group: what one range read brings. Nothing where there are none. */
  endGroup(): void {
    if (this.#rowsInGroup === 0) return;
    const columnData = Object.keys(this.#schema).map((name, i) => ({
      name,
      data: this.#columns[name] as never,
      encoding: encodingOf(this.#schema[name]),
      statistics: i === 0,
    }));
    void this.#writer.write({ columnData, rowGroupSize: this.#rowsInGroup });
    this.#rows += this.#rowsInGroup;
    this.#rowsInGroup = 0;
    this.#columns = emptyColumns(this.#schema);
  }

  /** Write the file; rows that are left are its last group. @throws as {@link atomicWrite} */
  async finish(path: string): Promise<WrittenFile> {
    this.endGroup();
    void this.#writer.finish();
    const bytes = new Uint8Array(this.#bytes.getBuffer());
    await atomicWrite(path, bytes);
    return { bytes: bytes.byteLength, sha256: sha256(bytes), rows: this.#rows };
  }
}

function emptyColumns<S extends TableSchema>(schema: S): { [name in keyof S]: Value[] } {
  return Object.fromEntries(Object.keys(schema).map((name) => [name, []])) as unknown as {
    [name in keyof S]: Value[];
  };
}

/** Write a table with row groups of one size. */
export async function writeTable<S extends TableSchema>(
  path: string,
  schema: S,
  rows: Iterable<TableRow<S>>,
  rowsPerGroup: number,
): Promise<WrittenFile> {
  const table = new TableWriter(schema);
  for (const row of rows) {
    table.add(row);
    if (table.rowsInGroup === rowsPerGroup) table.endGroup();
  }
  return table.finish(path);
}

function encodingOf(
  type: ColumnType,
): 'RLE_DICTIONARY' | 'DELTA_BINARY_PACKED' | 'BYTE_STREAM_SPLIT' | undefined {
  if (type.includes('few')) return 'RLE_DICTIONARY';
  if (type.includes('int32')) return 'DELTA_BINARY_PACKED';
  if (type.includes('float')) return 'BYTE_STREAM_SPLIT';
  return undefined;
}

function schemaElements(schema: TableSchema): SchemaElement[] {
  const root: SchemaElement = { name: 'schema', num_children: Object.keys(schema).length };
  return [root, ...Object.entries(schema).flatMap(([name, type]) => columnElements(name, type))];
}

function columnElements(name: string, type: ColumnType): SchemaElement[] {
  const required = { name, repetition_type: 'REQUIRED' } as const;
  if (type === 'boolean') return [{ ...required, type: 'BOOLEAN' }];
  if (type === 'string') return [{ ...required, type: 'BYTE_ARRAY', converted_type: 'UTF8' }];
  const number = type.includes('int32') ? 'INT32' : 'FLOAT';
  if (!type.startsWith('list')) return [{ ...required, type: number }];
  return [
    { ...required, converted_type: 'LIST', num_children: 1 },
    { name: 'list', repetition_type: 'REPEATED', num_children: 1 },
    { name: 'element', repetition_type: 'REQUIRED', type: number },
  ];
}
