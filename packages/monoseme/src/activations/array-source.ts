import { MonosemeError, throwIfAborted } from '../errors.ts';
import { sha256 } from '../formats/index.ts';
import { type ArrayRunner, deviceText, type InputArrays, type RowAxis } from '../model/index.ts';
import type { DroppedRows, RowOrigins } from './source.ts';
import type { HarvestSource } from './write-store.ts';

/** Half-precision numbers from here on are rounded to infinity. */
const HALF_OVERFLOW = 65_520;

export interface ArraySourceOptions {
  /** Samples that are used, from the first; all by default. */
  readonly maxSamples?: number;
  /** Refuse values that half precision cannot hold. */
  readonly forF16?: boolean;
}

/**
 * The activations of a model that reads arrays, computed when they are read. A row's document is the number of its
 * sample, its position the place in it ({@link coordinatesOf}); it has no token.
 *
 * @throws {MonosemeError} reading: the runner's errors, what the files give; ERR_NOT_FINITE naming hook, sample and place;
 * ERR_INTERRUPTED
 */
export function arraySource(
  runner: ArrayRunner,
  inputs: InputArrays,
  options: ArraySourceOptions = {},
): HarvestSource {
  const { layout, hookName, tensorName, model, samplesPerRun } = runner;
  const { dIn, rowsPerSample, axes } = layout;
  const nSamples = Math.min(inputs.nSamples, options.maxSamples ?? Infinity);
  const limit = options.forF16 ? HALF_OVERFLOW : Infinity;
  const range = (chunk: number) => [chunk * samplesPerRun, Math.min((chunk + 1) * samplesPerRun, nSamples)];
  const chunkRows = (chunk: number) => {
    const [from, to] = range(chunk);
    return (to - from) * rowsPerSample;
  };
  const names = axes.map(({ name, size }) => `${size} ${name}`).join(' × ');
  const settings = [model.sha256, tensorName, JSON.stringify(layout), samplesPerRun, nSamples, inputs.hash];
  const readRows = async (chunk: number, signal?: AbortSignal) => {
    throwIfAborted(signal);
    const [from, to] = range(chunk);
    const activations = await runner.activations(await inputs.read(from, to), to - from);
    expectBelow(limit, activations, runner, from);
    return { activations, origins: originsOf(from, to, rowsPerSample) };
  };
  return {
    ...{ dIn, hookName, axes, chunkRows, readRows },
    contextSize: rowsPerSample,
    nChunks: Math.ceil(nSamples / samplesPerRun),
    description: `${hookName} [${dIn}] of ${model.name}, ${nSamples} samples${names && ` of ${names}`}${deviceText(model)}`,
    hash: sha256(settings.join(' ') + deviceText(model)),
    modelHash: model.sha256,
    modelName: model.name,
    chunkTokens: chunkRows,
    countTokens: (): Omit<DroppedRows, 'norms'> => ({
      ...{ read: nSamples * rowsPerSample, tokens: 0, notDrawn: 0 },
    }),
    readChunk: async (chunk, signal) => (await readRows(chunk, signal)).activations,
    readOrigins: async (chunk) => originsOf(...(range(chunk) as [number, number]), rowsPerSample),
  };
}

/**
 * A row's place along each of its sample's axes, from its position.
 *
 * @param axes of the store ({@link ActivationStore.axes}) or layout
 */
export function coordinatesOf(position: number, axes: readonly RowAxis[]): Record<string, number> {
  let rest = position;
  const places = [...axes].reverse().map(({ name, size }) => {
    const place = rest % size;
    rest = Math.floor(rest / size);
    return [name, place] as const;
  });
  return Object.fromEntries(places.reverse());
}

function originsOf(
  from: number,
  to: number,
  rowsPerSample: number,
): Required<Pick<RowOrigins, 'positions' | 'documents'>> {
  const n = (to - from) * rowsPerSample;
  return {
    positions: Uint32Array.from({ length: n }, (_, row) => row % rowsPerSample),
    documents: Uint32Array.from({ length: n }, (_, row) => from + Math.floor(row / rowsPerSample)),
  };
}

/** Name the place of the first NaN, infinity, or value too large to be stored. */
function expectBelow(limit: number, activations: Float32Array, runner: ArrayRunner, from: number): void {
  const { dIn, rowsPerSample, axes } = runner.layout;
  const wrong = activations.findIndex((value) => !(value < limit && value > -limit));
  if (wrong < 0) return;
  const row = Math.floor(wrong / dIn);
  const value = activations[wrong];
  const places = Object.entries(coordinatesOf(row % rowsPerSample, axes));
  const where = places.map(([name, place]) => `, ${name} ${place}`).join('');
  throw new MonosemeError(
    'ERR_NOT_FINITE',
    `${runner.hookName} is ${value}${Number.isFinite(value) ? ', too large for F16,' : ''} at sample ${from + Math.floor(row / rowsPerSample)}${where}.`,
    Number.isFinite(value)
      ? 'Store BF16 or F32 instead (--dtype).'
      : 'If the model computes in fp16, take its fp32 version; else look at that sample.',
  );
}
