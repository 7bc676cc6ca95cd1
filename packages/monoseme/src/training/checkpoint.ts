import { mkdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { readSafetensors, writeSafetensors } from '../formats/index.ts';
import { trainState, type TrainState } from './parameters.ts';

/**
 * Everything a run needs to go on with the same bits: weights, moments, firing history and the step, in one file,
 * so that a checkpoint is whole or absent. `fingerprint` is the hash of options, data and backend; a checkpoint of
 * another fingerprint is not continued.
 */
const CHECKPOINT = 'checkpoint.safetensors';

export function checkpointPath(trainingFolder: string): string {
  return join(trainingFolder, CHECKPOINT);
}

export async function writeCheckpoint(folder: string, state: TrainState, fingerprint: string): Promise<void> {
  const { dIn, dSae } = state;
  await mkdir(folder, { recursive: true });
  const matrix = (data: Float32Array) => ({ dtype: 'F32' as const, shape: [dSae, dIn], data });
  const vector = (data: Float32Array) => ({ dtype: 'F32' as const, shape: [data.length], data });
  await writeSafetensors(
    checkpointPath(folder),
    Object.fromEntries(
      namedTensors(state).map(([name, data]) => [
        name,
        data.length === dSae * dIn && name.startsWith('W_') ? matrix(data) : vector(data),
      ]),
    ),
    // Shortest decimal forms of f64 read back to the same number.
    {
      step: String(state.step),
      scaling_factor: String(state.scalingFactor),
      memory: JSON.stringify(state.memory),
      fingerprint,
    },
  );
}

/**
 * The state of a checkpoint.
 *
 * @throws {MonosemeError} ERR_MISMATCH when it belongs to a run with other options, data or backend
 */
export async function readCheckpoint(
  folder: string,
  dIn: number,
  dSae: number,
  fingerprint: string,
  furtherNames: readonly string[] = [],
): Promise<TrainState> {
  const path = checkpointPath(folder);
  const file = await readSafetensors(path);
  try {
    const { metadata } = file;
    if (metadata['fingerprint'] !== fingerprint)
      throw new MonosemeError(
        'ERR_MISMATCH',
        `${path} belongs to a run with other options, data or kernel backend.`,
        'Repeat the options of that run, or remove the folder to start anew.',
      );
    const empty = trainState(
      {
        W_enc: new Float32Array(dSae * dIn),
        W_dec: new Float32Array(dSae * dIn),
        b_enc: new Float32Array(dSae),
        b_dec: new Float32Array(dIn),
      },
      Number(metadata['scaling_factor']),
      {
        further: Object.fromEntries(furtherNames.map((name) => [name, new Float32Array(dSae)])),
        memory: JSON.parse(metadata['memory'] ?? '[]') as number[],
      },
    );
    for (const [name, data] of namedTensors(empty)) {
      const shape = name.startsWith('W_') ? [dSae, dIn] : [data.length];
      data.set(await file.floats(name, shape));
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

function namedTensors(state: TrainState): [string, Float32Array][] {
  const { encoder, decoder, encoderBias, decoderBias, further } = state;
  return [
    ['W_enc', encoder.weights],
    ['W_enc.first_moments', encoder.firstMoments],
    ['W_enc.second_moments', encoder.secondMoments],
    ['W_dec', decoder.weights],
    ['W_dec.first_moments', decoder.firstMoments],
    ['W_dec.second_moments', decoder.secondMoments],
    ['b_enc', encoderBias.values],
    ['b_enc.first_moments', encoderBias.firstMoments],
    ['b_enc.second_moments', encoderBias.secondMoments],
    ['b_dec', decoderBias.values],
    ['b_dec.first_moments', decoderBias.firstMoments],
    ['b_dec.second_moments', decoderBias.secondMoments],
    ['last_fired_step', state.lastFiredStep],
    ...Object.entries(further).flatMap(([name, vector]): [string, Float32Array][] => [
      [name, vector.values],
      [`${name}.first_moments`, vector.firstMoments],
      [`${name}.second_moments`, vector.secondMoments],
    ]),
  ];
}
