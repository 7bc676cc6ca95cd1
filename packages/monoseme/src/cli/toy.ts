import { atomicWrite, snakeCaseKeys } from '../formats/index.ts';
import { ARCHITECTURES, architectureNamed } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { plot } from '../plots/index.ts';
import {
  autoencoders,
  classicalMethods,
  codesOnTrueDirections,
  type ComparisonInput,
  type MethodResult,
  TOY_SETS,
  ToySource,
  toySet,
} from '../toy/index.ts';
import { checkOptions, resolveOptions, type TrainOptions, withSpelling } from '../training/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { countOption, flagOf, repeatable, weightOption, wholeOption } from './options.ts';
import { methodName, resultTables } from './toy-tables.ts';

interface Flags extends BackendFlags {
  readonly set: string;
  readonly architecture?: string[];
  readonly architectures: boolean;
  readonly dSae?: number;
  readonly k?: number;
  readonly steps: number;
  readonly classicalRows: number;
  readonly l1: number;
  readonly seed: number;
  readonly out?: string;
}

const BATCH_ROWS = 1024;
const CHUNK_ROWS = 4096;

/** Architectures that read and reconstruct the same activations. */
const ONE_HOOK_POINT = ARCHITECTURES.filter(({ rows = 'activations' }) => rows === 'activations');

/** `monoseme toy`: classical dictionary learning beside every architecture, where the features are known. */
export const toyCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('toy')
    .description('Recover features that are known: classical methods beside every architecture.')
    .option('--set <name>', `synthetic data: ${Object.keys(TOY_SETS).join(', ')}`, 'planted')
    .option('--architecture <name>', 'may be repeated (default: all that read one hook point)', repeatable)
    .option('--no-architectures', 'classical methods alone')
    .option('--d-sae <n>', 'latents (default: twice the features)', countOption)
    .option('--k <n>', 'active latents a row, where that is set (default: as the features)', countOption)
    .option('--steps <n>', `training steps of ${BATCH_ROWS} rows`, countOption, 4000)
    .option('--classical-rows <n>', 'rows that classical methods learn from', countOption, 8192)
    .option('--l1 <λ>', 'of ISTA and FISTA', weightOption, 0.05)
    .option('--seed <n>', 'seed of data and training', wholeOption, 0)
    .option('--out <file.svg>', 'draw recovery and error of all methods')
    .addHelpText('after', '\nExample:\n  monoseme toy --set hierarchical --architecture matryoshka')
    .action(
      run(async (context: CommandContext, flags: Flags) => {
        const backend = await openBackend(flags, context);
        const nChunks = Math.ceil((flags.steps * BATCH_ROWS) / CHUNK_ROWS) + 1;
        const sizes = {
          nChunks: Math.max(nChunks, Math.ceil(flags.classicalRows / CHUNK_ROWS)),
          chunkRows: CHUNK_ROWS,
        };
        const source = new ToySource({ ...toySet(flags.set), ...sizes, seed: flags.seed }, backend);
        const truth = await source.truth(0);
        const k = flags.k ?? Math.max(1, Math.round(truth.values.length / truth.nRows));
        const dSae = flags.dSae ?? 2 * truth.dSae;
        const results = await compare(context, {
          source,
          backend,
          runs: runsOf(flags, dSae, k),
          k,
          dSae,
          classicalRows: flags.classicalRows,
          l1Coefficient: flags.l1,
          seed: flags.seed,
          signal: context.signal,
        });
        context.print(resultTables(results));
        if (flags.out !== undefined) {
          await atomicWrite(flags.out, new TextEncoder().encode(drawn(flags.set, results)));
          context.print(flags.out);
        }
        context.result({
          set: flags.set,
          d_sae: dSae,
          k,
          backend: backend.description,
          methods: results.map(({ figures, ...rest }) => ({
            ...snakeCaseKeys<unknown>(rest),
            ...snakeCaseKeys({ ...figures }),
          })),
          ...(flags.out !== undefined && { plot: flags.out }),
        });
      }),
    );
  addBackendFlags(command);
};

async function compare(context: CommandContext, input: ComparisonInput): Promise<MethodResult[]> {
  const parts = [
    ['true codes', 'methods', codesOnTrueDirections],
    ['classical', 'methods', classicalMethods],
    ['train', 'steps', autoencoders],
  ] as const;
  const results: MethodResult[] = [];
  for (const [name, unit, part] of parts) {
    if (part === autoencoders && input.runs.length === 0) continue;
    const found = await withStage(context, name, unit, async (stage) => {
      const onProgress = (done: number, total: number) => stage.update(done, total);
      const own = await part({ ...input, onProgress });
      const names = own.map(({ method }) => method).join(', ');
      return [own, own.length > 6 ? `${own.length} architectures` : names];
    });
    results.push(...found);
  }
  return results;
}

/** Every architecture with its own defaults, where they do not depend on the data. */
function runsOf(flags: Flags, dSae: number, k: number): TrainOptions[] {
  if (!flags.architectures) {
    if (flags.architecture === undefined) return [];
    throw new MonosemeError(
      'ERR_USAGE',
      `--architecture ${flags.architecture[0]} and --no-architectures contradict each other.`,
      'Leave one of them out.',
    );
  }
  const chosen = flags.architecture?.map(architectureNamed) ?? ONE_HOOK_POINT;
  return chosen.map((architecture) => {
    if (!ONE_HOOK_POINT.includes(architecture))
      throw new MonosemeError(
        'ERR_OPTION',
        `${architecture.name} reads several hook points; synthetic rows are of one.`,
        `Choose from: ${ONE_HOOK_POINT.map(({ name }) => name).join(', ')}.`,
      );
    const given = {
      architecture: architecture.name,
      dSae,
      ...('k' in architecture.settings && { k }),
      batchRows: BATCH_ROWS,
      tokens: flags.steps * BATCH_ROWS,
      seed: flags.seed,
      logEvery: 100,
      checkpointEvery: 1 << 24,
    };
    return withSpelling(flagOf, () => checkOptions(resolveOptions(given)));
  });
}

/** Recovery and error of every method beside its name; all are better to the right. */
function drawn(set: string, results: readonly MethodResult[]): string {
  const measures = [
    ['MCC', 'mcc'],
    ['F1', 'f1'],
    ['explained variance', 'explainedVariance'],
  ] as const;
  return plot({
    title: `Recovered features of the set ${set}`,
    x: { label: '1 is perfect' },
    y: { label: '', categories: results.map(methodName) },
    marks: measures.map(([name, key]) => ({
      kind: 'points',
      name,
      x: results.map(({ figures }) => figures[key]),
      y: results.map((_, place) => place),
      titles: results.map((result) => `${methodName(result)}: ${name} ${result.figures[key].toFixed(3)}`),
    })),
  });
}
