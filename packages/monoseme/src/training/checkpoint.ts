import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { architectureNamed } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { encodeFloats } from '../tensor/index.ts';
import { readSafetensors, writeSafetensors } from '../formats/index.ts';
import type { AdamVector } from './adam.ts';
import { type AdamMatrix, trainState, type TrainState } from './parameters.ts';
import { changedSettings, type DecisiveSettings } from './changed-settings.ts';
import { rowLayout, rowParts, totalWidth } from './row-layout.ts';
import type { TrainInput } from './train.ts';
import { startAverage } from './weight-average.ts';

/**
 * Everything a run needs to go on with the same bits: weights, moments, firing history and the step, in one file,
 * so that a checkpoint is whole or absent. `run` holds options, data and backend; a checkpoint of another run is not
 * continued.
 */
const CHECKPOINT = 'checkpoint.safetensors';

export function checkpointPath(trainingFolder: string): string {
  return join(trainingFolder, CHECKPOINT);
}

export async function writeCheckpoint(
  folder: string,
  state: TrainState,
  run: DecisiveSettings,
): Promise<void> {
  await mkdir(folder, { recursive: true });
  await writeSafetensors(
    checkpointPath(folder),
    Object.fromEntries(
      namedTensors(state).map(([name, shape, data]) => [name, { dtype: dtypeOf(data), shape, data }]),
    ),
    // Shortest decimal forms of f64 read back to the same number.
    {
      step: String(state.step),
      scales: JSON.stringify(rowParts(state.layout).map(({ ownScale }) => ownScale)),
      memory: JSON.stringify(state.memory),
      sparsity: JSON.stringify(state.sparsity),
      run: JSON.stringify(run),
    },
  );
}

/**
 * The state of a checkpoint, of the shapes that the source, the architecture and the options give.
 *
 * @throws {MonosemeError} ERR_MISMATCH when it belongs to a run with other options, data or backend
 */
export async function readCheckpoint(
  folder: string,
  { source, backend, options, spelt }: Pick<TrainInput, 'source' | 'backend' | 'options' | 'spelt'>,
  run: DecisiveSettings,
): Promise<TrainState> {
  const path = checkpointPath(folder);
  const file = await readSafetensors(path);
  try {
    const { metadata } = file;
    const before = JSON.parse(metadata['run'] ?? '{}') as DecisiveSettings;
    const changes = changedSettings(before, run, spelt);
    if (changes.length > 0)
      throw new MonosemeError(
        'ERR_MISMATCH',
        `${path} belongs to another run: ${changes.join(', ')}.`,
        'Repeat the options of that run, or remove the folder to start anew.',
      );
    const architecture = architectureNamed(options.architecture);
    const layout = rowLayout(
      source,
      architecture,
      JSON.parse(metadata['scales']) as number[],
      options.normalize,
    );
    const [dIn, dOut, { dSae }] = [totalWidth(layout.inputs), totalWidth(layout.outputs), options];
    const empty = trainState(
      {
        W_enc: new Float32Array(dSae * dIn),
        W_dec: new Float32Array(dSae * dOut),
        b_enc: new Float32Array(dSae),
        b_dec: new Float32Array(dOut),
        ...(architecture.hasSkip && { W_skip: new Float32Array(dIn * dOut) }),
      },
      layout,
      {
        further: architecture.start?.(dSae, 1, options).further ?? {},
        memory: JSON.parse(metadata['memory']) as number[],
      },
      options.moments,
      backend,
    );
    Object.assign(empty.sparsity, JSON.parse(metadata['sparsity']));
    if (options.emaDecay > 0) empty.average = startAverage(empty);
    for (const [name, shape, data] of namedTensors(empty)) {
      const floats = await file.floats(name, shape);
      data.set(dtypeOf(data) === 'F32' ? floats : new Uint16Array(encodeFloats(floats, 'BF16').buffer));
    }
    empty.step = Number(metadata['step']);
    return empty;
  } finally {
    await file.close();
  }
}

/** Remove the checkpoint of a finished run: its weights are in the dictionary. */
export async function removeCheckpoint(folder: string): Promise<void> {
  await rm(checkpointPath(folder), { force: true });
}

const dtypeOf = (data: Float32Array | Uint16Array) => (data instanceof Uint16Array ? 'BF16' : 'F32');

type NamedTensor = [name: string, shape: number[], data: Float32Array | Uint16Array];

function namedTensors(state: TrainState): NamedTensor[] {
  const { dIn, dOut, dSae, encoder, decoder, skip, encoderBias, decoderBias, further, average = {} } = state;
  const matrix = (name: string, nRows: number, width: number, values: AdamMatrix): NamedTensor[] => [
    [name, [nRows, width], values.weights],
    [`${name}.first_moments`, [nRows, width], values.firstMoments],
    [`${name}.second_moments`, [nRows, width], values.secondMoments],
  ];
  const vector = (name: string, { values, firstMoments, secondMoments }: AdamVector): NamedTensor[] => [
    [name, [values.length], values],
    [`${name}.first_moments`, [values.length], firstMoments],
    [`${name}.second_moments`, [values.length], secondMoments],
  ];
  return [
    ...matrix('W_enc', dSae, dIn, encoder),
    ...matrix('W_dec', dSae, dOut, decoder),
    ...(skip ? matrix('W_skip', dIn, dOut, skip) : []),
    ...vector('b_enc', encoderBias),
    ...vector('b_dec', decoderBias),
    ['last_fired_step', [dSae], state.lastFiredStep],
    ...Object.entries(further).flatMap(([name, values]) => vector(name, values)),
    ...Object.entries(average).map(([name, values]): NamedTensor => [
      `${name}.average`,
      [values.length],
      values,
    ]),
  ];
}
