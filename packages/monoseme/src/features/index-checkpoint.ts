import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { readSafetensors, type SafetensorsFile, writeSafetensors } from '../formats/index.ts';

/** Seconds of work that a killed build may lose, about. */
const EVERY_SECONDS = 30;
/** Elements that are read at once. */
const PIECE = 2 ** 22;

type GatheredArray = Float64Array | Float32Array | Uint32Array | Uint16Array | Uint8Array;

/** All that has been gathered so far, by name: the arrays themselves, which a checkpoint fills again. */
export type GatheredArrays = Readonly<Record<string, GatheredArray>>;
export type Counts = Readonly<Record<string, number>>;

const DTYPES = [
  [Float64Array, 'F64'],
  [Float32Array, 'F32'],
  [Uint32Array, 'U32'],
  [Uint16Array, 'U16'],
  [Uint8Array, 'U8'],
] as const;

/** The checkpoints of a run's stages in the folder of an index that is not finished. */
export interface CheckpointPlace {
  /** Folder of the index. */
  readonly out: string;
  /** Of everything that decides what is gathered: the checkpoint of another run is not continued. */
  readonly fingerprint: string;
  /** Seconds between two; {@link EVERY_SECONDS} when left out. */
  readonly seconds?: number;
}

const folderOf = (out: string) => join(out, 'unfinished');

export async function removeCheckpoints(out: string): Promise<void> {
  await rm(folderOf(out), { recursive: true, force: true });
}

/** What one stage of the build has gathered, in one file: whole or absent. */
export class IndexCheckpoint {
  readonly #path: string;
  readonly #fingerprint: string;
  readonly #milliseconds: number;
  #last = performance.now();

  constructor(stage: string, { out, fingerprint, seconds = EVERY_SECONDS }: CheckpointPlace) {
    this.#path = join(folderOf(out), `${stage}.safetensors`);
    this.#fingerprint = fingerprint;
    this.#milliseconds = 1000 * seconds;
  }

  /** Whether the last one is so old that another pays. */
  get isDue(): boolean {
    return performance.now() - this.#last >= this.#milliseconds;
  }

  /** @throws {MonosemeError} ERR_DISK_FULL, ERR_FILE */
  async write(arrays: GatheredArrays, counts: Counts): Promise<void> {
    const tensors = Object.entries(arrays).map(([name, data]) => {
      const dtype = DTYPES.find(([type]) => data instanceof type)![1];
      return [name, { dtype, shape: [data.length], data }] as const;
    });
    const metadata = { fingerprint: this.#fingerprint, counts: JSON.stringify(counts) };
    await writeSafetensors(this.#path, Object.fromEntries(tensors), metadata);
    this.#last = performance.now();
  }

  /**
   * Fill arrays from the checkpoint. One that is not there, of another run or damaged is as none; the arrays may then
   * hold parts of it.
   *
   * @param arraysFor the arrays for these counts; undefined when they cannot be
   * @returns whether all were filled
   */
  async read(arraysFor: (counts: Counts) => GatheredArrays | undefined): Promise<boolean> {
    const file = await readSafetensors(this.#path).catch(() => undefined);
    if (!file) return false;
    try {
      if (file.metadata['fingerprint'] !== this.#fingerprint) return false;
      const arrays = arraysFor(JSON.parse(file.metadata['counts']) as Counts);
      if (!arrays) return false;
      for (const [name, array] of Object.entries(arrays)) await fill(file, name, array);
      return true;
    } catch {
      return false;
    } finally {
      await file.close();
    }
  }
}

async function fill(file: SafetensorsFile, name: string, array: GatheredArray): Promise<void> {
  const bytes = new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
  const { shape } = file.info(name);
  if (shape.length !== 1 || shape[0] !== array.length) throw new Error(`${name} has another length`);
  for (let from = 0; from < array.length; from += PIECE) {
    const rows = await file.rows(name, from, Math.min(array.length, from + PIECE));
    bytes.set(rows.bytes, from * array.BYTES_PER_ELEMENT);
  }
}
