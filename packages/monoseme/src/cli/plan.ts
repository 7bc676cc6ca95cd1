import { storedBytes, type StoreDtype } from '../activations/index.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { ModelRunner } from '../model/index.ts';
import { trainingBytes } from '../training/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';
import { DEFAULT_HOOK, MODEL_HELP, openModel } from './model-option.ts';
import { wholeOption } from './options.ts';
import { USUAL_L0, measureDisk, measureModel, measureTraining } from './plan-measure.ts';
import { compact, duration } from './progress.ts';
import { storeDtype } from './row-options.ts';
import { table } from './table.ts';
import { addTrainFlags, type TrainFlags, trainOptions } from './train-flags.ts';

interface Flags extends BackendFlags, TrainFlags {
  readonly hook: string;
  readonly dtype: StoreDtype;
  readonly contextSize?: number;
  readonly out: string;
}

/** Two shards: one is made while the other is written. */
const SHARDS_BYTES = 2 * 2 ** 26;

/** `monoseme plan`: disk, memory and time of a run on this machine, before it is started. */
export const planCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('plan')
    .description('Say what disk, memory and time a run would take on this machine, from a short measurement.')
    .argument('<model>', MODEL_HELP)
    .option('--hook <name>', 'tensor to read (monoseme inspect lists them)', DEFAULT_HOOK)
    .option('--dtype <type>', 'F16, BF16, F32 or I8, of a store', storeDtype, 'F16')
    .option(
      '--context-size <n>',
      'tokens the model sees at once (default: as in its config.json, else 256)',
      wholeOption,
    )
    .option('--out <folder>', 'a folder on the disk that would hold the store', '.')
    .addHelpText('after', '\nExample:\n  monoseme plan one-layer-a --tokens 8G --d-sae 131072')
    .action(
      run(async (context, flags: Flags, modelPath) => {
        const options = trainOptions(flags);
        const model = await openModel(context, modelPath);
        const backend = await openBackend(flags, context);
        const runner = await ModelRunner.start(model, { hook: flags.hook, threads: flags.threads });
        try {
          const rates = await withStage(context, 'measure', 'steps', async (stage) => {
            const { signal } = context;
            const contextSize = flags.contextSize ?? model.contextSize ?? 256;
            const { tokensPerSecond, rows } = await measureModel(runner, contextSize, signal);
            stage.update(1, 3, 'the disk');
            const diskBytes = await measureDisk(flags.out);
            stage.update(2, 3, 'training');
            const resident = process.memoryUsage.rss();
            const training = await measureTraining(rows, runner.dIn, options, backend, signal);
            const found = { model: tokensPerSecond, diskBytes, training, resident };
            return [found, `${compact(found.model)} tokens/s of the model, ${compact(training)} of training`];
          });
          const plan = estimate(
            { ...rates, dIn: runner.dIn, tokens: options.tokens, dtype: flags.dtype },
            trainingBytes(runner.dIn, options),
          );
          context.print(planText(plan, flags));
          if (options.k === undefined)
            context.print(
              `Training is timed with ${USUAL_L0} active latents a token; the first steps of an L1 run are slower.`,
            );
          context.result({
            hook: runner.hookName,
            dIn: runner.dIn,
            tokens: options.tokens,
            dSae: options.dSae,
            rates: snakeCaseKeys(rates),
            stored: snakeCaseKeys({ ...plan.stored }),
            streaming: snakeCaseKeys({ ...plan.streaming }),
          });
        } finally {
          await runner.close();
        }
      }),
    );
  addTrainFlags(command);
  addBackendFlags(command.optionsGroup('Kernels:'));
};

interface Measured {
  /** Tokens a second. */
  model: number;
  training: number;
  diskBytes: number;
  /** Bytes of this process with the model in memory. */
  resident: number;
  dIn: number;
  tokens: number;
  dtype: StoreDtype;
}

interface Way {
  diskBytes: number;
  memoryBytes: number;
  harvestSeconds: number;
  trainSeconds: number;
  /** Seconds of each dictionary after the first on the same tokens. */
  furtherSeconds: number;
}

/** Model and trainer share the cores, so their times add up; reading a store goes on beside the training. */
function estimate(measured: Measured, trainBytes: number): { stored: Way; streaming: Way } {
  const { model, training, diskBytes, resident, tokens } = measured;
  const bytes = storedBytes(measured, tokens);
  const modelSeconds = tokens / model;
  const trainSeconds = tokens / training;
  return {
    stored: {
      diskBytes: bytes,
      memoryBytes: Math.max(resident + SHARDS_BYTES, trainBytes + resident),
      harvestSeconds: modelSeconds + bytes / diskBytes,
      trainSeconds,
      furtherSeconds: trainSeconds,
    },
    streaming: {
      diskBytes: 0,
      memoryBytes: resident + trainBytes,
      harvestSeconds: 0,
      trainSeconds: modelSeconds + trainSeconds,
      furtherSeconds: modelSeconds + trainSeconds,
    },
  };
}

function planText({ stored, streaming }: { stored: Way; streaming: Way }, { dtype }: Flags): string {
  const row = (name: string, of: (way: Way) => string) => [name, of(stored), of(streaming)];
  const rows = [
    row('disk', ({ diskBytes }) => size(diskBytes)),
    row('memory', ({ memoryBytes }) => size(memoryBytes)),
    row('harvest', ({ harvestSeconds }) => (harvestSeconds > 0 ? duration(harvestSeconds) : '–')),
    row('training', ({ trainSeconds }) => duration(trainSeconds)),
    row('both', ({ harvestSeconds, trainSeconds }) => duration(harvestSeconds + trainSeconds)),
    row('each further dictionary', ({ furtherSeconds }) => duration(furtherSeconds)),
  ];
  const saved = stored.harvestSeconds + stored.trainSeconds - streaming.trainSeconds;
  return [
    table(['', `stored as ${dtype}`, 'streaming'], rows),
    `Streaming saves ${size(stored.diskBytes)} of disk and ${duration(saved)}; a store saves ${duration(streaming.furtherSeconds - stored.furtherSeconds)} with each further dictionary.`,
  ].join('\n');
}

/** 1_500_000_000 → `1.50 GB` */
const size = (bytes: number): string => (bytes === 0 ? '0' : `${compact(bytes)}B`);
