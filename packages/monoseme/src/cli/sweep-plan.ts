import { storedBytes } from '../activations/index.ts';
import { throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { ModelRunner } from '../model/index.ts';
import { groupBytes, groupsThatFit, memoryForTraining, type SweepRun } from '../sweep/index.ts';
import { DEFAULT_OPTIONS, machineBytes, trainingBytes } from '../training/index.ts';
import type { CommandContext } from './context.ts';
import { openModel } from './model-option.ts';
import { measureModel, measureTraining } from './plan-measure.ts';
import { compact, duration } from './progress.ts';

/** What the runs of one hook point will take. */
export interface HookPointPlan {
  readonly runs: readonly SweepRun[];
  readonly dIn: number;
  readonly nGroups: number;
  /** Of training, in the largest group. */
  readonly memoryBytes: number;
  /** Of activations and weights. */
  readonly diskBytes: number;
  /** Of harvest and training, without measuring. */
  readonly seconds: number;
}

interface PlanInput {
  readonly runs: readonly SweepRun[];
  /** Where the model of the runs is. */
  readonly modelPath: string;
  readonly backend: KernelBackend;
  readonly threads?: number;
  /** GiB for training. */
  readonly memory?: number;
  /** Seconds a token of dictionaries that were timed, by their size. Mutated */
  readonly timed: Map<string, number>;
}

const MODEL_MS = 500;
const CONTEXT_SIZE = 256;

/**
 * From short measurements of the model and of a dictionary of each size.
 *
 * @throws {MonosemeError} ERR_HOOK, the errors of models
 */
export async function planHookPoint(context: CommandContext, input: PlanInput): Promise<HookPointPlan> {
  const { runs, modelPath, backend, threads, memory, timed } = input;
  const { signal } = context;
  const model = await openModel(context, modelPath);
  const runner = await ModelRunner.start(model, { hook: runs[0].hook, threads });
  try {
    const { dIn } = runner;
    const { tokens } = runs[0].options;
    const contextSize = model.contextSize ?? CONTEXT_SIZE;
    const { tokensPerSecond, rows } = await measureModel(runner, contextSize, signal, MODEL_MS);
    let seconds = tokens / tokensPerSecond;
    for (const { options } of runs) {
      const { dSae, batchRows, moments } = options;
      const size = [dIn, dSae, batchRows, moments].join(' ');
      // What a run asks for beside its size may make it diverge, which is its own affair.
      const usual = { ...DEFAULT_OPTIONS, dSae, batchRows, moments };
      // What cannot fit is refused when its turn comes.
      if (trainingBytes(dIn, usual) > machineBytes()) continue;
      const known = timed.get(size) ?? 1 / (await measureTraining(rows, dIn, usual, backend, signal));
      throwIfAborted(signal);
      timed.set(size, known);
      seconds += tokens * known;
    }
    const nLatents = runs.reduce((sum, { options }) => sum + options.dSae, 0);
    const groups = groupsThatFit(runs, dIn, memoryForTraining(memory));
    return {
      runs,
      dIn,
      nGroups: groups.length,
      memoryBytes: Math.max(...groups.map((group) => groupBytes(group, dIn))),
      diskBytes: storedBytes({ dIn, dtype: 'F16' }, tokens) + 2 * 4 * dIn * nLatents,
      seconds,
    };
  } finally {
    await runner.close();
  }
}

/** Lines for people, one a hook point and one of all. */
export function planLines(plans: readonly HookPointPlan[]): string {
  const sum = (of: (plan: HookPointPlan) => number) => plans.reduce((total, plan) => total + of(plan), 0);
  const lines = plans.map(({ runs, dIn, nGroups, memoryBytes, diskBytes }) => [
    `${dictionaries(runs.length)} of ${runs[0].model} at ${runs[0].hook} [${dIn}],`,
    `  ${nGroups === 1 ? 'side by side' : `side by side in ${nGroups} groups`}: ` +
      `${compact(memoryBytes)}B of memory, ${compact(diskBytes)}B of disk`,
  ]);
  if (plans.length > 0)
    lines.push([
      `${dictionaries(sum(({ runs }) => runs.length))} in about ${duration(sum(({ seconds }) => seconds))}, and what measuring takes`,
    ]);
  return lines
    .flat()
    .map((line, place) => `${(place === 0 ? 'plan' : '').padEnd(10)} ${line}\n`)
    .join('');
}

const dictionaries = (n: number): string => (n === 1 ? '1 dictionary' : `${n} dictionaries`);
