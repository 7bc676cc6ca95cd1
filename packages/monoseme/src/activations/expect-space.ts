import { statfs } from 'node:fs/promises';
import { MonosemeError } from '../errors.ts';
import { bytesPerRow } from './encoding.ts';
import type { StorePlan } from './store-plan.ts';

/** Bytes of a row beside its activations: token id, position, document. */
const ORIGIN_BYTES = 12;

/** Bytes of rows on disk, with their origins. */
export const storedBytes = ({ dtype, dIn }: Pick<StorePlan, 'dtype' | 'dIn'>, nRows: number): number =>
  nRows * (bytesPerRow(dtype, dIn) + ORIGIN_BYTES);

/** @throws {MonosemeError} ERR_DISK_FULL where a folder's disk has too little room for so many rows; `remedy` says what to do */
export async function expectSpace(
  folder: string,
  plan: StorePlan,
  nRows: number,
  remedy: string,
): Promise<void> {
  const needed = storedBytes(plan, nRows);
  const { bavail, bsize } = await statfs(folder);
  if (needed <= bavail * bsize) return;
  const mebibytes = (bytes: number) => Math.ceil(bytes / 2 ** 20);
  throw new MonosemeError(
    'ERR_DISK_FULL',
    `The activations need ${mebibytes(needed)} MiB, but the disk of ${folder} has ${mebibytes(bavail * bsize)} MiB left.`,
    remedy,
  );
}
