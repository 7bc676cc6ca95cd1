import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ActivationStore } from '../activations/index.ts';
import type { TokenSet } from '../corpus/index.ts';
import { GOES_ON, isInterruption, MonosemeError } from '../errors.ts';
import { evaluateDictionary } from '../evaluation/index.ts';
import { atomicWrite, sha256, snakeCaseKeys } from '../formats/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { ModelRunner, type OnnxModel } from '../model/index.ts';
import { plot } from '../plots/index.ts';
import { percentText } from '../report/index.ts';
import {
  groupsThatFit,
  memoryForTraining,
  paretoFront,
  readResult,
  readSweep,
  type ResultRow,
  type Sweep,
  type SweepRun,
  trainGroup,
  writeResult,
  writeRunTable,
} from '../sweep/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { openModel } from './model-option.ts';
import { numberOption } from './options.ts';
import { compact } from './progress.ts';
import { table } from './table.ts';
import { type HookPointPlan, planHookPoint, planLines } from './sweep-plan.ts';
import { readTokens } from './text.ts';

interface Flags extends BackendFlags {
  readonly out: string;
  readonly memory?: number;
}

/** `monoseme sweep`: a grid of dictionaries, as many as memory allows from one reading of the activations. */
export const sweepCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('sweep')
    .description('Train and measure a grid of dictionaries; run again to go on with what is missing.')
    .argument('<sweep.json>', 'the grid: models, hooks, architectures, d_sae, seeds')
    .requiredOption('--out <folder>', 'dictionaries, activations, runs.csv, runs.parquet, pareto.svg')
    .option('--memory <GiB>', 'for the dictionaries that train side by side (default: half)', numberOption)
    .addHelpText('after', '\nExample:\n  monoseme sweep sweeps/small.json --out out/small')
    .action(
      run(async (context: CommandContext, flags: Flags, path) => {
        const sweep = await readSweep(path);
        const backend = await openBackend(flags, context);
        const rows = await runSweep({ context, flags, backend, sweep, folder: dirname(path) });
        const files = await writeRunTable(flags.out, rows);
        const pareto = join(flags.out, 'pareto.svg');
        await atomicWrite(pareto, new TextEncoder().encode(paretoPlot(rows)));
        context.print(`${rowTable(sweep.runs, rows)}\n${ABOUT_SECONDS}`);
        context.print([...files, pareto].join('\n'));
        const failed = rows.filter(({ error }) => error !== '');
        context.result({
          runs: rows.map((row) => snakeCaseKeys<unknown>({ ...row })),
          failed: failed.length,
          table: files,
          pareto,
        });
        if (failed.length > 0)
          throw new MonosemeError(
            'ERR_SWEEP',
            `${failed.length} of ${rows.length} runs failed, the first with: ${failed[0].error}`,
            'The table holds the others; run the same command to try the failed ones again.',
          );
      }, GOES_ON),
    );
  addBackendFlags(command);
};

interface Work {
  readonly context: CommandContext;
  readonly flags: Flags;
  readonly backend: KernelBackend;
  readonly sweep: Sweep;
  /** Where the sweep's file is: models may be named from there. */
  readonly folder: string;
}

/** All rows in the order of the grid. Tables are written after every hook point, so that a long sweep can be watched. */
async function runSweep(work: Work): Promise<ResultRow[]> {
  const { flags, sweep } = work;
  const rows = new Map<string, ResultRow>();
  const pending: SweepRun[] = [];
  for (const run of sweep.runs) {
    const row = await readResult(folderOf(flags, run), settingsOf(sweep, run));
    if (row) rows.set(run.name, row);
    else pending.push(run);
  }
  if (rows.size > 0) work.context.print(`${rows.size} of ${sweep.runs.length} dictionaries are finished.`);
  const keep = async (done: readonly ResultRow[]) => {
    for (const row of done) rows.set(row.run, row);
    await writeRunTable(flags.out, [...rows.values()]);
  };
  const { plans, failed } = await planned(work, byHookPoint(pending));
  for (const [runs, error] of failed) await keep(await failedRows(work, runs, error));
  work.context.progress.write(planLines(plans));
  for (const { runs } of plans)
    await keep(await runHookPoint(work, runs).catch((error: unknown) => failedRows(work, runs, error)));
  return sweep.runs.map(({ name }) => rows.get(name) as ResultRow);
}

/** What will take how long, and which hook points cannot be used: a sweep of days says so at its start. */
async function planned(work: Work, hookPoints: readonly (readonly SweepRun[])[]) {
  const { context, flags, backend } = work;
  const plans: HookPointPlan[] = [];
  const timed = new Map<string, number>();
  const failed: [runs: readonly SweepRun[], error: unknown][] = [];
  if (hookPoints.length > 0)
    await withStage(context, 'measure', 'hook points', async (stage) => {
      for (const [place, runs] of hookPoints.entries()) {
        stage.update(place, hookPoints.length, runs[0].model);
        const { threads, memory } = flags;
        const input = { runs, modelPath: modelPathOf(work, runs), backend, threads, memory, timed };
        await planHookPoint(context, input).then(
          (plan) => plans.push(plan),
          (error: unknown) => failed.push([runs, error]),
        );
      }
      return [undefined, hookPoints.length === 1 ? '1 hook point' : `${hookPoints.length} hook points`];
    });
  return { plans, failed };
}

function modelPathOf({ folder }: Work, [{ model }]: readonly SweepRun[]): string {
  return existsSync(join(folder, model)) ? join(folder, model) : model;
}

function byHookPoint(runs: readonly SweepRun[]): SweepRun[][] {
  const groups = new Map<string, SweepRun[]>();
  for (const run of runs) {
    const key = JSON.stringify([run.model, run.hook]);
    groups.set(key, [...(groups.get(key) ?? []), run]);
  }
  return [...groups.values()];
}

/** The runs of one hook point of one model: its activations once, then group after group. */
async function runHookPoint(work: Work, runs: readonly SweepRun[]): Promise<ResultRow[]> {
  const { context, flags, backend, sweep } = work;
  const { hook } = runs[0];
  const modelPath = modelPathOf(work, runs);
  const model = await openModel(context, modelPath);
  const text = { text: [...sweep.text] };
  const read = async (maxTokens: number, split: 'train' | 'heldOut') =>
    (await readTokens(context, model, text, { maxTokens, seed: 0, split })).tokens;
  const source = await harvested(work, model, hook, await read(sweep.tokens, 'train'));
  const runner = await ModelRunner.start(model, { hook, threads: flags.threads, suffix: true });
  try {
    const heldOut = await read(sweep.evaluationTokens, 'heldOut');
    const groups = groupsThatFit(runs, source.dIn, memoryForTraining(flags.memory));
    const rows: ResultRow[] = [];
    for (const [place, group] of groups.entries()) {
      const dictionaries = group.length === 1 ? '1 dictionary' : `${group.length} dictionaries`;
      const outcomes = await withStage(context, 'train', 'steps', async (stage) => {
        const done = await trainGroup({
          runs: group.map((run) => ({ ...run, model: modelPath })),
          source,
          backend,
          folder: join(flags.out, 'dictionaries'),
          signal: context.signal,
          onStep: (steps, total) => stage.update(steps, total, `group ${place + 1} of ${groups.length}`),
        });
        return [done, `${dictionaries} of ${runs[0].model}, group ${place + 1} of ${groups.length}`];
      });
      rows.push(...(await measuredGroup(work, group, outcomes, runner, heldOut)));
    }
    return rows;
  } finally {
    await runner.close();
  }
}

/** A model, hook point or text that cannot be used fails its own runs. */
async function failedRows(work: Work, runs: readonly SweepRun[], error: unknown): Promise<ResultRow[]> {
  if (isInterruption(error)) throw error;
  const { message } = error as Error;
  const { model, hook } = runs[0];
  work.context.progress.write(`failed     ${hook} of ${model}: ${message}\n`);
  const rows: ResultRow[] = [];
  for (const run of runs) {
    const finished = await readResult(folderOf(work.flags, run), settingsOf(work.sweep, run));
    rows.push(finished ?? failedRow(run, message));
  }
  return rows;
}

/** Activations are stored once, so that every group and a run that is resumed read the same. */
async function harvested(
  { context, flags }: Work,
  model: OnnxModel,
  hook: string,
  tokens: TokenSet,
): Promise<ActivationStore> {
  const folder = join(flags.out, 'activations', `${model.name}-${hook}`.replace(/[^\w.-]/g, '-'));
  const runner = await ModelRunner.start(model, { hook, threads: flags.threads });
  try {
    return await withStage(context, 'harvest', 'tokens', async (stage) => {
      const store = await ActivationStore.write(folder, runner, tokens, {
        signal: context.signal,
        onProgress: (done, total) => stage.update(done, total),
      });
      return [store, `${compact(store.nRows)} activations of ${hook}`];
    });
  } finally {
    await runner.close();
  }
}

type Outcome = Awaited<ReturnType<typeof trainGroup>>[number];

/** The rows of a group; those of dictionaries that were trained are kept beside them. */
async function measuredGroup(
  work: Work,
  group: readonly SweepRun[],
  outcomes: readonly Outcome[],
  runner: ModelRunner,
  tokens: TokenSet,
): Promise<ResultRow[]> {
  const { context, flags, sweep } = work;
  const rows = await withStage(context, 'evaluate', 'dictionaries', async (stage) => {
    const own: ResultRow[] = [];
    for (const [i, run] of group.entries()) {
      const row = await measured(work, run, outcomes[i], runner, tokens);
      if (row.error === '') await writeResult(folderOf(flags, run), settingsOf(sweep, run), row);
      own.push(row);
      stage.update(own.length, group.length);
    }
    const good = own.filter(({ error }) => error === '').length;
    return [own, `${good} of ${group.length}, on ${compact(tokens.tokens.length)} held-out tokens`];
  });
  for (const { run, error } of rows)
    if (error !== '') context.progress.write(`failed     ${run}: ${error}\n`);
  return rows;
}

async function measured(
  { context, backend }: Work,
  run: SweepRun,
  outcome: Outcome,
  runner: ModelRunner,
  tokens: TokenSet,
): Promise<ResultRow> {
  if ('error' in outcome) return failedRow(run, outcome.error.message);
  try {
    const { dictionary, seconds } = outcome;
    const { signal } = context;
    const { figures, clusters } = await evaluateDictionary({ dictionary, backend, runner, tokens, signal });
    return {
      ...aboutRun(run),
      l0: figures.l0,
      explainedVariance: figures.explainedVariance,
      lossRecovered: figures.ceLossScore,
      dead: clusters.nDead,
      ultralow: clusters.nUltralow,
      clustersApart: clusters.separated,
      seconds,
      error: '',
    };
  } catch (error) {
    if (isInterruption(error)) throw error;
    return failedRow(run, (error as Error).message);
  }
}

function aboutRun({ name, model, hook, options }: SweepRun) {
  const { architecture, dSae, seed, l1Coefficient, l0Coefficient, k } = options;
  return { run: name, model, hook, architecture, dSae, seed, sparsity: k ?? l0Coefficient ?? l1Coefficient };
}

const NO_FIGURES = {
  l0: NaN,
  explainedVariance: NaN,
  lossRecovered: NaN,
  dead: NaN,
  ultralow: NaN,
  clustersApart: false,
  seconds: NaN,
};

function failedRow(run: SweepRun, error: string): ResultRow {
  return { ...aboutRun(run), ...NO_FIGURES, error };
}

function folderOf(flags: Flags, run: SweepRun): string {
  return join(flags.out, 'dictionaries', run.name);
}

/** Everything in the grid that decides the row of a run. */
function settingsOf({ text, tokens, evaluationTokens }: Sweep, run: SweepRun): string {
  const { name, model, hook, options } = run;
  return sha256(JSON.stringify({ name, model, hook, options, text, tokens, evaluationTokens }));
}

const HEADER = [
  'model',
  'hook',
  'architecture',
  'settings',
  'latents',
  'seed',
  'L0',
  'expl. var.',
  'loss rec.',
  'dead',
  'ultralow',
  'seconds',
];

const ABOUT_SECONDS =
  'Dictionaries train side by side: their seconds are those until each was there, in company.';

/** Left out where every run has the same. */
const IF_SEVERAL = ['model', 'hook', 'settings', 'seed'];

/** A line for each run, with what its entry of the grid says. */
function rowTable(runs: readonly SweepRun[], rows: readonly ResultRow[]): string {
  const lines = rows.map(({ model, hook, architecture, dSae, seed, error, ...row }, i) => [
    model,
    hook,
    architecture,
    Object.entries(runs[i].varied)
      .map(([name, value]) => `${name} ${[value].flat().join(' ')}`)
      .join(', '),
    String(dSae),
    String(seed),
    ...(error === ''
      ? [
          row.l0.toFixed(1),
          percentText(row.explainedVariance),
          percentText(row.lossRecovered),
          String(row.dead),
          `${row.ultralow}${row.clustersApart ? ' apart' : ''}`,
          Number.isNaN(row.seconds) ? '–' : row.seconds.toFixed(0),
        ]
      : ['–', '–', '–', '–', '–', 'failed']),
  ]);
  const isShared = (column: number) => lines.every((line) => line[column] === lines[0][column]);
  const shown = HEADER.flatMap((name, column) =>
    IF_SEVERAL.includes(name) && isShared(column) ? [] : [column],
  );
  const cells = (line: readonly string[]) => shown.map((column) => line[column]);
  return table(cells(HEADER), lines.map(cells));
}

/** L0 against the loss recovered: every dictionary by its architecture, and the front of each model. */
function paretoPlot(rows: readonly ResultRow[]): string {
  const good = rows.filter(({ error }) => error === '');
  const models = [...new Set(good.map(({ model }) => model))];
  const groupOf = ({ model, architecture }: ResultRow) =>
    models.length === 1 ? architecture : `${model}, ${architecture}`;
  const xy = (some: readonly ResultRow[]) => ({
    x: some.map(({ l0 }) => l0),
    y: some.map(({ lossRecovered }) => lossRecovered),
  });
  return plot({
    title: `Loss recovered against L0${models.length === 1 ? `, ${models[0]}` : ''}`,
    x: { label: 'L0, active latents a token', scale: 'log' },
    y: { label: 'loss recovered' },
    marks: [
      ...[...new Set(good.map(groupOf))].map((name) => {
        const own = good.filter((row) => groupOf(row) === name);
        return { kind: 'points' as const, name, ...xy(own), titles: own.map(({ run }) => run) };
      }),
      ...models.map((model) => ({
        kind: 'line' as const,
        name: models.length === 1 ? 'front' : `front of ${model}`,
        dashed: true,
        ...xy(paretoFront(good.filter((row) => row.model === model))),
      })),
    ],
  });
}
