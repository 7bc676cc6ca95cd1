import { type FileMetaData, parquetMetadataAsync, parquetRead, parquetReadObjects } from 'hyparquet';
import { RemoteFile } from './remote-file.ts';

/** Row groups that are kept. */
const MOST_GROUPS = 48;

/** Values from the first to the one before the second. */
export type Range = readonly [number, number];

/** A Parquet table on the host. Its footer is fetched with the first read. */
export class Table {
  readonly #file: RemoteFile;
  readonly #columns: string[];
  #metadata: Promise<FileMetaData> | undefined;
  /** First row of each row group, and the number of rows. */
  #starts: readonly number[] | undefined;
  /** Smallest and largest value of each row group's first column. */
  #bounds: readonly (readonly number[])[] | undefined;
  readonly #rows = new Kept<Record<string, unknown>[]>();
  readonly #numbers = new Kept<Record<string, Float64Array>>();

  /** @param columns those that are read; a table without one of them is an error */
  constructor(file: RemoteFile, columns: string[]) {
    this.#file = file;
    this.#columns = columns;
  }

  metadata(): Promise<FileMetaData> {
    // 64 KB hold the footer of most tables: one request.
    this.#metadata ??= parquetMetadataAsync(this.#file, { initialFetchSize: 2 ** 16 });
    this.#metadata.catch(() => (this.#metadata = undefined));
    return this.#metadata;
  }

  /** Read a whole column of numbers into `column`, which has room for one of each row. */
  async column<C extends Int32Array | Float32Array>(name: string, column: C): Promise<C> {
    await parquetRead({
      file: this.#file,
      metadata: await this.metadata(),
      columns: [name],
      onChunk: ({ columnData, rowStart }) => column.set(columnData as ArrayLike<number>, rowStart),
    });
    return column;
  }

  /** All rows of a row group. The last groups read are kept. */
  rowGroup<R>(group: number): Promise<R[]> {
    return this.#rows.of(group, async () => {
      const range = await this.#rangeOf(group);
      return parquetReadObjects({ ...range, file: this.#file, columns: this.#columns });
    }) as Promise<R[]>;
  }

  /**
   * The rows in whose first column, by which the table is sorted, stands a value of one of the ranges: their columns, all
   * of numbers. Where the ranges lie in more row groups than are kept, some of these are read, spread evenly.
   *
   * @param ranges first value and the one behind the last, ascending and apart
   */
  async within(
    ranges: readonly Range[],
  ): Promise<{ columns: Record<string, Float64Array>; isWhole: boolean }> {
    const groups = await this.#groupsWithin(ranges);
    const step = Math.max(1, groups.length / MOST_GROUPS);
    const chosen = groups.filter((_, i) => Math.floor(i / step) !== Math.floor((i - 1) / step));
    const parts = await Promise.all(chosen.map((group) => this.#numbersOf(group)));
    const places = parts.map((part) => placesWithin(part[this.#columns[0]], ranges));
    const length = places.reduce((sum, found) => sum + found.length, 0);
    const joined = (name: string) => {
      const column = new Float64Array(length);
      let at = 0;
      parts.forEach((part, i) => {
        for (const place of places[i]) column[at++] = part[name][place];
      });
      return column;
    };
    return {
      columns: Object.fromEntries(this.#columns.map((name) => [name, joined(name)])),
      isWhole: chosen.length === groups.length,
    };
  }

  async #groupsWithin(ranges: readonly Range[]): Promise<number[]> {
    const { row_groups } = await this.metadata();
    this.#bounds ??= row_groups.map((group) => {
      const { min_value, max_value } = group.columns[0]?.meta_data?.statistics ?? {};
      return [Number(min_value ?? -Infinity), Number(max_value ?? Infinity)];
    });
    const found: number[] = [];
    let range = 0;
    this.#bounds.forEach(([low, high], group) => {
      while (range < ranges.length && ranges[range][1] <= low) range++;
      if (range < ranges.length && ranges[range][0] <= high) found.push(group);
    });
    return found;
  }

  /** Row groups whose first column, by which the table is sorted, may hold a value. */
  groupsWith(value: number): Promise<number[]> {
    return this.#groupsWithin([[value, value + 1]]);
  }

  #numbersOf(group: number): Promise<Record<string, Float64Array>> {
    return this.#numbers.of(group, async () => {
      const range = await this.#rangeOf(group);
      const { rowStart: first, rowEnd: end } = range;
      const columns = Object.fromEntries(this.#columns.map((name) => [name, new Float64Array(end - first)]));
      await parquetRead({
        ...range,
        file: this.#file,
        columns: this.#columns,
        onChunk: ({ columnName, columnData, rowStart }) =>
          columns[columnName].set(columnData as ArrayLike<number>, rowStart - first),
      });
      return columns;
    });
  }

  async #rangeOf(group: number): Promise<{ metadata: FileMetaData; rowStart: number; rowEnd: number }> {
    const metadata = await this.metadata();
    this.#starts ??= startsOf(metadata);
    return { metadata, rowStart: this.#starts[group], rowEnd: this.#starts[group + 1] };
  }
}

function startsOf({ row_groups }: FileMetaData): number[] {
  const starts = [0];
  for (const { num_rows } of row_groups) starts.push(starts.at(-1)! + Number(num_rows));
  return starts;
}

/** Where an ascending column has a value of one of the ranges. */
function placesWithin(column: Float64Array, ranges: readonly Range[]): number[] {
  const places: number[] = [];
  let range = 0;
  for (let place = 0; place < column.length && range < ranges.length; place++) {
    while (range < ranges.length && ranges[range][1] <= column[place]) range++;
    if (range < ranges.length && ranges[range][0] <= column[place]) places.push(place);
  }
  return places;
}

/** What was read of the last row groups; what failed is read again when it is asked for again. */
class Kept<T> {
  readonly #groups = new Map<number, Promise<T>>();

  of(group: number, read: () => Promise<T>): Promise<T> {
    const known = this.#groups.get(group);
    if (known) return known;
    const made = read();
    this.#groups.set(group, made);
    made.catch(() => this.#groups.delete(group));
    if (this.#groups.size > MOST_GROUPS) this.#groups.delete(this.#groups.keys().next().value!);
    return made;
  }
}
