import { join } from 'node:path';
import { TableWriter } from './parquet-table.ts';
import { EXAMPLE_PLACES, type IndexFile } from './schema.ts';

const ROWS_PER_GROUP = 16_384;

/** Where the examples of all latents peak, by place in the text. */
export class ExamplePlaces {
  #latents = new Uint32Array(1024);
  #positions = new Uint32Array(1024);
  #length = 0;

  /** Latents come in ascending order; an example that is listed twice has one place. */
  add(latent: number, positions: Iterable<number>): void {
    for (const position of new Set(positions)) {
      if (this.#length === this.#latents.length) {
        this.#latents = doubled(this.#latents);
        this.#positions = doubled(this.#positions);
      }
      this.#latents[this.#length] = latent;
      this.#positions[this.#length++] = position;
    }
  }

  /** Write `example_places.parquet`. */
  async finish(folder: string): Promise<IndexFile> {
    const table = new TableWriter(EXAMPLE_PLACES);
    const positions = this.#positions.subarray(0, this.#length);
    for (const i of inOrder(positions)) {
      table.add({ token_index: positions[i], latent_index: this.#latents[i] });
      if (table.rowsInGroup === ROWS_PER_GROUP) table.endGroup();
    }
    const path = 'example_places.parquet';
    return { path, ...(await table.finish(join(folder, path))) };
  }
}

function doubled(array: Uint32Array<ArrayBuffer>): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * array.length);
  larger.set(array);
  return larger;
}

/** Places of the keys from the smallest to the largest, equal ones in their order: two passes of a counting sort. */
function inOrder(keys: Uint32Array): Uint32Array {
  let order = Uint32Array.from(keys.keys());
  for (const shift of [0, 16]) {
    const starts = new Uint32Array(2 ** 16 + 1);
    for (const key of keys) starts[((key >>> shift) & 0xffff) + 1]++;
    for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1];
    const sorted = new Uint32Array(keys.length);
    for (const place of order) sorted[starts[(keys[place] >>> shift) & 0xffff]++] = place;
    order = sorted;
  }
  return order;
}
