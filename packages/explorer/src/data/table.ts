import { type FileMetaData, parquetMetadataAsync, parquetRead, parquetReadObjects } from 'hyparquet';
import { RemoteFile } from './remote-file.ts';

/** A Parquet table on the host. Its footer is fetched with the first read. */
export class Table {
  readonly #file: RemoteFile;
  readonly #columns: string[];
  #metadata: Promise<FileMetaData> | undefined;
  readonly #groups = new Map<number, Promise<Record<string, unknown>[]>>();

  /** @param columns those that are read; a table without one of them is an error */
  constructor(file: RemoteFile, columns: string[]) {
    this.#file = file;
    this.#columns = columns;
  }

  metadata(): Promise<FileMetaData> {
    // 64 KB hold the footer of most tables: one request.
    this.#metadata ??= parquetMetadataAsync(this.#file, { initialFetchSize: 2 ** 16 });
    return this.#metadata;
  }

  /** A whole column of numbers. */
  async column(name: string): Promise<Float64Array> {
    const metadata = await this.metadata();
    const column = new Float64Array(Number(metadata.num_rows));
    await parquetRead({
      file: this.#file,
      metadata,
      columns: [name],
      onChunk: ({ columnData, rowStart }) => column.set(columnData as ArrayLike<number>, rowStart),
    });
    return column;
  }

  /** All rows of a row group. The last groups read are kept. */
  async rowGroup<R>(group: number): Promise<R[]> {
    const known = this.#groups.get(group);
    if (known) return known as Promise<R[]>;
    const rows = this.#readGroup(group);
    this.#groups.set(group, rows);
    rows.catch(() => this.#groups.delete(group));
    if (this.#groups.size > 48) this.#groups.delete(this.#groups.keys().next().value!);
    return rows as Promise<R[]>;
  }

  async #readGroup(group: number): Promise<Record<string, unknown>[]> {
    const metadata = await this.metadata();
    let rowStart = 0;
    for (let i = 0; i < group; i++) rowStart += Number(metadata.row_groups[i].num_rows);
    const rowEnd = rowStart + Number(metadata.row_groups[group].num_rows);
    return parquetReadObjects({ file: this.#file, metadata, rowStart, rowEnd, columns: this.#columns });
  }

  /** Row groups whose first column, by which the table is sorted, may hold a value. */
  async groupsWith(value: number): Promise<number[]> {
    const { row_groups } = await this.metadata();
    return row_groups.flatMap((group, i) => {
      const { min_value, max_value } = group.columns[0]?.meta_data?.statistics ?? {};
      return Number(min_value ?? -Infinity) <= value && value <= Number(max_value ?? Infinity) ? [i] : [];
    });
  }
}
