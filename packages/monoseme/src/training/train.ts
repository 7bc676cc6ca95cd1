import { existsSync } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type ActivationSource,
  type BatchStream,
  MixingBuffer,
  type MixingFigures,
  totalRows,
} from '../activations/index.ts';
import {
  architectureNamed,
  CHECKPOINT_DICTIONARY,
  type Dictionary,
  loadDictionary,
  saveDictionary,
} from '../dictionary/index.ts';
import { fileError, MonosemeError } from '../errors.ts';
import {
  camelCaseKeys,
  readManifest,
  snakeCaseKeys,
  TOOLKIT_VERSION,
  writeManifest,
} from '../formats/index.ts';
import { changedSettings, type DecisiveSettings, fingerprint } from './changed-settings.ts';
import { checkpointPath, readCheckpoint, removeCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { initialState } from './initialize.ts';
import { expectTrainingFits } from './memory.ts';
import { type LoopInput, trainLoop_ } from './loop.ts';
import { MetricsFile, type StepMetrics } from './metrics.ts';
import { withFinalFigures } from './final-figures.ts';
import { finishedDictionary, type Origin } from './finished-dictionary.ts';
import { checkOptions, type TrainOptions } from './options.ts';
import type { TrainState } from './parameters.ts';
import { StageClock, type StageSeconds } from './stage-clock.ts';
import { rowLayout } from './row-layout.ts';

export interface TrainInput extends LoopInput, Origin {
  /** Folder of the dictionary; `training/` inside it holds metrics and, until the run ends, its checkpoint. */
  readonly out: string;
  /** What to do with a run that was interrupted in `out`: go on with it, or refuse (ERR_EXISTS). */
  readonly resume: boolean;
  /** Replace a finished dictionary of another run in `out` instead of refusing (ERR_EXISTS). */
  readonly replace?: boolean;
  /** How errors say the name of an option, as it was given: `--learning-rate`, `learning_rate`. Default: as here. */
  readonly spelt?: (name: string) => string;
}

export interface TrainResult {
  readonly dictionary: Dictionary;
  /** The metrics of the last logged step. */
  readonly last: StepMetrics;
  readonly nSteps: number;
  /** The step at which this call started: 0, that of a checkpoint, or `nSteps` for a run that was finished before. */
  readonly startedAtStep: number;
  /** Where the time of this call went; absent when nothing was left to do. */
  readonly seconds?: StageSeconds;
  /** How well the batches mixed documents, where it is known. */
  readonly mixing?: MixingFigures;
}

/**
 * Train a dictionary and save it to `out` in the layout of SAELens.
 *
 * A run that was interrupted goes on from its checkpoint, with `resume` and the same options, data and backend, and
 * ends with the same bytes as if it had not been. A run that is already finished is read back. On the signal the
 * current step is finished, a checkpoint is written and ERR_INTERRUPTED is thrown.
 *
 * @throws {MonosemeError} ERR_OPTION, ERR_MEMORY (before allocating), ERR_EXISTS, ERR_MISMATCH (a checkpoint of other
 *   options; rows of another number of hook points than the architecture reads), ERR_DIVERGED (the last good checkpoint is kept), ERR_INTERRUPTED
 */
export async function trainDictionary(input: TrainInput): Promise<TrainResult> {
  const { source, out } = input;
  const options = checkOptions(input.options);
  await expectRoom(input);
  rowLayout(source, architectureNamed(options.architecture)); // refuses rows that the architecture cannot read
  expectTrainingFits(source.dIn, options);
  const buffer =
    input.batches ??
    new MixingBuffer(source, {
      batchRows: options.batchRows,
      bufferRows: options.bufferRows,
      seed: options.seed,
      epochs: epochsFor(source, options),
    });
  const nSteps = Math.min(buffer.nBatches, Math.floor(options.tokens / options.batchRows));
  if (nSteps === 0)
    throw new MonosemeError(
      'ERR_EMPTY_TEXT',
      `The activations hold less than one batch of ${options.batchRows} rows.`,
      'Give more text or a smaller batch.',
    );
  const settings = decisiveSettings(input, nSteps);
  const finished = await finishedRun(input, settings);
  if (finished)
    return { dictionary: await loadDictionary(out), last: finished, nSteps, startedAtStep: nSteps };
  return run(input, buffer, nSteps, settings);
}

async function run(
  input: TrainInput,
  buffer: BatchStream,
  nSteps: number,
  settings: DecisiveSettings,
): Promise<TrainResult> {
  const { source, backend, options, out } = input;
  const trainingFolder = join(out, 'training');
  await mkdir(trainingFolder, { recursive: true }).catch((error: unknown) => {
    throw fileError(error, `make the folder ${trainingFolder}`);
  });
  const state =
    (await checkpointToResume(trainingFolder, input, settings)) ??
    (await initialState(source, backend, options, input.signal));
  // An older dictionary here is no longer taken for the finished run, nor for what this one has come to.
  for (const file of ['manifest.json', 'sae_weights.safetensors']) await rm(join(out, file), { force: true });
  const startedAtStep = state.step;
  const metrics = await MetricsFile.open(join(trainingFolder, 'metrics.jsonl'), state.step);
  const clock = new StageClock();
  let last: StepMetrics;
  try {
    last = await trainLoop_(state, { ...input, clock }, buffer, nSteps, {
      onMetrics: (logged) => metrics.write(logged),
      checkpoint: async () => {
        await writeCheckpoint(trainingFolder, state, settings);
        await saveDictionary(join(out, CHECKPOINT_DICTIONARY), finishedDictionary(state, input));
      },
    });
  } catch (error) {
    throw withLastGood(error, join(out, CHECKPOINT_DICTIONARY));
  } finally {
    await metrics.close();
  }
  const dictionary = await withFinalFigures(finishedDictionary(state, input), input);
  await saveDictionary(out, dictionary);
  await writeManifest(out, {
    kind: 'dictionary',
    madeFrom: { run: fingerprint(settings), activations: source.hash },
    seed: options.seed,
    backend: backend.description,
    details: {
      activations: source.description,
      n_steps: nSteps,
      tokens: nSteps * options.batchRows,
      options: snakeCaseKeys({ ...options }),
      last_metrics: snakeCaseKeys({ ...last }),
    },
  });
  await removeCheckpoint(trainingFolder);
  await rm(join(out, CHECKPOINT_DICTIONARY), { recursive: true, force: true });
  const seconds = { ...clock.seconds, read: buffer.secondsReading };
  return { dictionary, last, nSteps, startedAtStep, seconds, mixing: buffer.mixing?.figures };
}

/** Where the dictionary of before is, for who reads that a run diverged. */
function withLastGood(error: unknown, folder: string): unknown {
  const isKept = error instanceof MonosemeError && error.code === 'ERR_DIVERGED' && existsSync(folder);
  if (!isKept) return error;
  const advice = `${error.advice} The dictionary of the last good checkpoint is in ${folder}.`;
  return new MonosemeError(error.code, error.what, advice, { cause: error });
}

/**
 * Whether a run may write into its folder, as far as that is known before its data are.
 *
 * @throws {MonosemeError} ERR_EXISTS for another dictionary, or the checkpoint of a run that is not to be gone on with
 */
export async function expectRoom({
  out,
  options,
  resume,
  replace,
  spelt,
}: Pick<TrainInput, 'out' | 'options' | 'resume' | 'replace' | 'spelt'>): Promise<void> {
  const trainingFolder = join(out, 'training');
  if (existsSync(join(out, 'manifest.json'))) {
    const { details } = await readManifest(out, 'dictionary');
    const before = camelCaseKeys(details['options'] as Readonly<Record<string, unknown>>);
    const changes = changedSettings(decisiveOptions(before), decisiveOptions({ ...options }), spelt);
    if (changes.length > 0 && !replace) throw otherRun(out, changes.join(', '));
  } else if (existsSync(checkpointPath(trainingFolder))) {
    if (!resume)
      throw new MonosemeError(
        'ERR_EXISTS',
        `${trainingFolder} holds the checkpoint of a run that was interrupted.`,
        'Add --resume to go on with it, or choose another folder with --out.',
      );
  } else if (!replace && existsSync(join(out, 'sae_weights.safetensors')) && !existsSync(trainingFolder))
    throw new MonosemeError(
      'ERR_EXISTS',
      `${out} holds a dictionary that was not trained here.`,
      'Choose another folder with --out.',
    );
}

function otherRun(out: string, changes: string): MonosemeError {
  return new MonosemeError(
    'ERR_EXISTS',
    `${out} holds a dictionary of another run: ${changes}.`,
    'Choose another folder with --out, or remove that one.',
  );
}

/** The last metrics of a finished run of these settings, or undefined when there is none. */
async function finishedRun(
  { out, replace }: TrainInput,
  settings: DecisiveSettings,
): Promise<StepMetrics | undefined> {
  if (!existsSync(join(out, 'manifest.json'))) return undefined;
  const manifest = await readManifest(out, 'dictionary');
  if (manifest.madeFrom['run'] === fingerprint(settings))
    return camelCaseKeys(
      manifest.details['last_metrics'] as Record<string, number>,
    ) as unknown as StepMetrics;
  if (replace) return undefined;
  throw otherRun(out, 'data or kernel backend changed');
}

async function checkpointToResume(
  trainingFolder: string,
  input: TrainInput,
  settings: DecisiveSettings,
): Promise<TrainState | undefined> {
  if (!input.resume || !existsSync(checkpointPath(trainingFolder))) return undefined;
  try {
    return await readCheckpoint(trainingFolder, input, settings);
  } catch (error) {
    if (input.replace && error instanceof MonosemeError && error.code === 'ERR_MISMATCH') return undefined;
    throw error;
  }
}

function epochsFor(source: ActivationSource, options: TrainOptions): number {
  return Math.max(1, Math.ceil(options.tokens / totalRows(source)));
}

/** What must be equal for a checkpoint to be continued. */
function decisiveSettings(input: TrainInput, nSteps: number): DecisiveSettings {
  const { source, backend, options, batches, hookName, modelName, hooks } = input;
  return {
    ...decisiveOptions({ ...options }),
    toolkit: TOOLKIT_VERSION,
    activations: source.hash,
    backend: backend.description,
    // Absent where the batches are the run's own.
    sharedBatches: batches && true,
    hookName,
    modelName,
    hooks,
    nSteps,
  };
}

/** Without those that change only how often a run says and keeps what it has come to. */
function decisiveOptions(options: Readonly<Record<string, unknown>>): DecisiveSettings {
  const { checkpointEvery: _often, logEvery: _lines, ...decisive } = options;
  return decisive;
}
