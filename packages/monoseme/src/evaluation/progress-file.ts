import { rm } from 'node:fs/promises';
import { readSafetensors, writeSafetensors } from '../formats/index.ts';

/** Everything that an unfinished measurement has summed so far, by name. */
export type SummedArrays = Readonly<Record<string, Float64Array>>;

/** Where an unfinished measurement is kept, and what decides its result: sums of another fingerprint are not continued. */
export interface ProgressFile {
  readonly path: string;
  readonly fingerprint: string;
}

/** Write the sums and how many contexts are in them, atomically. */
export async function writeProgress(
  { path, fingerprint }: ProgressFile,
  arrays: SummedArrays,
  contexts: number,
): Promise<void> {
  const tensors = Object.entries(arrays).map(
    ([name, data]) => [name, { dtype: 'F64' as const, shape: [data.length], data }] as const,
  );
  await writeSafetensors(path, Object.fromEntries(tensors), { fingerprint, contexts: String(contexts) });
}

/**
 * Fill the arrays from the file. A file that is not there, of another fingerprint or damaged is as none.
 *
 * @returns the number of contexts in the sums
 */
export async function readProgress(
  { path, fingerprint }: ProgressFile,
  arrays: SummedArrays,
): Promise<number> {
  const file = await readSafetensors(path).catch(() => undefined);
  if (!file) return 0;
  try {
    const contexts = Number(file.metadata['contexts']);
    if (file.metadata['fingerprint'] !== fingerprint || !Number.isSafeInteger(contexts)) return 0;
    const read = new Map<string, Float64Array>();
    for (const [name, array] of Object.entries(arrays)) {
      const { dtype, shape, bytes } = await file.tensor(name);
      if (dtype !== 'F64' || shape.length !== 1 || shape[0] !== array.length) return 0;
      read.set(name, new Float64Array(bytes.slice().buffer));
    }
    for (const [name, data] of read) arrays[name].set(data);
    return contexts;
  } catch {
    return 0;
  } finally {
    await file.close();
  }
}

export async function removeProgress({ path }: ProgressFile): Promise<void> {
  await rm(path, { force: true });
}
