import { join } from 'node:path';
import { type ActivationSource, MixingBuffer, SharedBatches, totalRows } from '../activations/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { isInterruption } from '../errors.ts';
import { snakeCase } from '../formats/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { machineBytes, trainDictionary, trainingBytes } from '../training/index.ts';
import type { SweepRun } from './config.ts';

/** Every sweep mixes in the same order, whatever the seeds of its runs. */
const STREAM_SEED = 0;

/** Bytes for the dictionaries of a group: as told in GiB, else half of what the machine gives this process. */
export function memoryForTraining(gib: number | undefined): number {
  return gib === undefined ? machineBytes() / 2 : gib * 2 ** 30;
}

/**
 * Split runs, in their order, into groups that train side by side: as many as `bytes` hold, at least one. The mixing
 * buffer is one for all.
 */
export function groupsThatFit(runs: readonly SweepRun[], dIn: number, bytes: number): SweepRun[][] {
  const groups: SweepRun[][] = [];
  let left = 0;
  for (const run of runs) {
    const buffer = bufferBytes(run, dIn);
    const own = trainingBytes(dIn, run.options) - buffer;
    if (groups.length === 0 || own > left) {
      groups.push([]);
      left = bytes - buffer;
    }
    groups[groups.length - 1].push(run);
    left -= own;
  }
  return groups;
}

/** Bytes of runs that train side by side. */
export function groupBytes(group: readonly SweepRun[], dIn: number): number {
  const buffer = bufferBytes(group[0], dIn);
  return group.reduce((sum, { options }) => sum + trainingBytes(dIn, options) - buffer, buffer);
}

function bufferBytes({ options }: SweepRun, dIn: number): number {
  return 2 * 4 * dIn * Math.min(options.bufferRows, options.tokens);
}

export interface GroupInput {
  readonly runs: readonly SweepRun[];
  readonly source: ActivationSource;
  readonly backend: KernelBackend;
  /** Each dictionary is a folder inside it, named after its run. */
  readonly folder: string;
  readonly signal?: AbortSignal;
  /** Steps of all runs together. */
  readonly onStep?: (done: number, total: number) => void;
}

export type Outcome =
  { readonly dictionary: Dictionary; readonly seconds: number } | { readonly error: Error };

/**
 * Train all runs of a group on one reading of the activations. One that fails ends alone: what it came to is its error.
 * Interrupted, every run keeps its checkpoint, and the same call goes on.
 *
 * @returns what each run came to; `seconds` of this call, beside the others; NaN where an earlier call
 *   had finished it
 * @throws {MonosemeError} ERR_INTERRUPTED
 */
export async function trainGroup(input: GroupInput): Promise<Outcome[]> {
  const { runs, source, backend, folder, signal, onStep } = input;
  const { batchRows, bufferRows, tokens } = runs[0].options;
  const epochs = Math.max(1, Math.ceil(tokens / totalRows(source)));
  const shared = new SharedBatches(
    new MixingBuffer(source, { batchRows, bufferRows, epochs, seed: STREAM_SEED }),
  );
  const done = new Float64Array(runs.length);
  const totals = new Float64Array(runs.length).fill(Math.floor(tokens / batchRows));
  const sum = (values: Float64Array) => values.reduce((total, value) => total + value, 0);
  const train = async (run: SweepRun, place: number, batches = shared.reader()): Promise<Outcome> => {
    const started = performance.now();
    try {
      const { dictionary, startedAtStep, nSteps } = await trainDictionary({
        source,
        backend,
        batches,
        options: run.options,
        out: join(folder, run.name),
        hookName: run.hook,
        modelName: run.model,
        resume: true,
        spelt: snakeCase,
        signal,
        onStep: (step, nSteps) => {
          done[place] = step;
          totals[place] = nSteps;
          onStep?.(sum(done), sum(totals));
        },
      });
      const wasFinished = startedAtStep === nSteps;
      return { dictionary, seconds: wasFinished ? NaN : (performance.now() - started) / 1000 };
    } catch (error) {
      return { error: error as Error };
    } finally {
      batches.close();
    }
  };
  const outcomes = await Promise.all(runs.map((run, place) => train(run, place)));
  for (const outcome of outcomes)
    if ('error' in outcome && isInterruption(outcome.error)) throw outcome.error;
  return outcomes;
}
