import { constrainedMemory } from 'node:process';
import { totalmem } from 'node:os';
import { architectureNamed } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import type { TrainOptions } from './options.ts';

/** Bytes a run needs: weights and two moments of both matrices, the mixing buffer twice (one block fills ahead). */
export function trainingBytes(dIn: number, options: TrainOptions): number {
  const { rows } = architectureNamed(options.architecture);
  const perWeight = options.moments === 'bf16' ? 4 + 2 * 2 : 4 + 2 * 4;
  const matrices = (rows === 'input-and-target' ? 1 : 2) * perWeight * dIn * options.dSae;
  const buffer = 2 * 4 * dIn * Math.min(options.bufferRows, options.tokens);
  const batch = 6 * 4 * dIn * options.batchRows;
  return matrices + buffer + batch;
}

/** Memory of this machine, or what this process may have of it. */
export function machineBytes(): number {
  const limit = constrainedMemory();
  return limit > 0 && limit < totalmem() ? limit : totalmem();
}

/** @throws {MonosemeError} ERR_MEMORY, before anything is allocated, when the run cannot fit in this machine. */
export function expectTrainingFits(dIn: number, options: TrainOptions): void {
  const needed = trainingBytes(dIn, options);
  const available = machineBytes();
  if (needed <= available) return;
  const gib = (bytes: number) => (bytes / 2 ** 30).toFixed(1);
  throw new MonosemeError(
    'ERR_MEMORY',
    `d_sae ${options.dSae} with d_in ${dIn} and a buffer of ${options.bufferRows} rows needs ${gib(needed)} GiB; this machine has ${gib(available)}.`,
    'Choose fewer latents or a smaller buffer.',
  );
}
