import { throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { hashSeed, Random } from '../random/index.ts';
import type { TrainOptions } from '../training/index.ts';
import { CLASSICAL_METHODS, classicalCoder, pursuitCoder, shrinkageCoder } from './classical/index.ts';
import { type Coder, dictionaryCoder, measureOnToy, type ToyFigures } from './measure.ts';
import type { ToySource } from './toy-source.ts';
import { trainOnToy } from './train-on-toy.ts';

export interface ComparisonInput {
  readonly source: ToySource;
  readonly backend: KernelBackend;
  /** Autoencoders to train, on the same rows. */
  readonly runs: readonly TrainOptions[];
  /** Directions of a row for the classical methods. */
  readonly k: number;
  /** Latents of the classical methods that may have any number. */
  readonly dSae: number;
  /** Rows that the classical methods learn from; their turns go over all of them. */
  readonly classicalRows: number;
  /** λ of ISTA and FISTA. */
  readonly l1Coefficient: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

export interface MethodResult {
  readonly method: string;
  /** Codes on the true directions; directions without a network; autoencoders. */
  readonly kind: 'true directions' | 'classical' | 'autoencoder';
  readonly figures: ToyFigures;
  /** Until the directions were there, with the making of the rows that an autoencoder learns from. */
  readonly seconds: number;
  /**
   * Of autoencoders: explained variance of orthogonal matching pursuit on the same directions with as many of them a
   * row, minus the encoder's own. What one linear step and a nonlinearity give away against a search.
   */
  readonly amortisationGap?: number;
}

/** Chunks on which everything is measured: rows that nothing was trained on. */
const EVALUATION_CHUNKS = 1;

/** What inference alone loses: codes found with the true directions. */
export async function codesOnTrueDirections(input: ComparisonInput): Promise<MethodResult[]> {
  const { source, backend, k, l1Coefficient, signal } = input;
  const { features, offset } = source;
  const coders: [string, Coder][] = [
    ['omp', pursuitCoder(features, offset, k)],
    ['ista', shrinkageCoder(features, offset, l1Coefficient, false)],
    ['fista', shrinkageCoder(features, offset, l1Coefficient, true)],
  ];
  const results: MethodResult[] = [];
  for (const [method, coder] of coders) {
    const started = performance.now();
    const [figures] = await measureOnToy([coder], backend, source, EVALUATION_CHUNKS, signal);
    results.push({ method, kind: 'true directions', figures, seconds: secondsSince(started) });
    input.onProgress?.(results.length, coders.length);
  }
  return results;
}

/** Directions without a network, learnt from the first rows of the source. */
export async function classicalMethods(input: ComparisonInput): Promise<MethodResult[]> {
  const { source, backend, signal, seed } = input;
  const x = await rowsOf(source, input.classicalRows);
  const results: MethodResult[] = [];
  for (const method of CLASSICAL_METHODS) {
    throwIfAborted(signal);
    const random = new Random(hashSeed(seed, method.name));
    const started = performance.now();
    const coder = classicalCoder(method, { ...input, x, width: source.dIn, random });
    const seconds = secondsSince(started);
    const [figures] = await measureOnToy([coder], backend, source, EVALUATION_CHUNKS, signal);
    results.push({ method: method.name, kind: 'classical', figures, seconds });
    input.onProgress?.(results.length, CLASSICAL_METHODS.length);
  }
  return results;
}

/**
 * Autoencoders, one after another: side by side the rows would be made once, but nobody could say how long each takes.
 *
 * @throws {MonosemeError} ERR_INTERRUPTED, errors of training
 */
export async function autoencoders(input: ComparisonInput): Promise<MethodResult[]> {
  const { source, backend, runs, signal, onProgress } = input;
  const results: MethodResult[] = [];
  for (const [place, run] of runs.entries()) {
    const onStep = (done: number, total: number) => onProgress?.(place * total + done, runs.length * total);
    const [outcome] = await trainOnToy({ source, backend, runs: [run], signal, onStep });
    if ('error' in outcome) throw outcome.error;
    const coder = dictionaryCoder(outcome.dictionary, backend);
    const [figures] = await measureOnToy([coder], backend, source, EVALUATION_CHUNKS, signal);
    const pursuit = pursuitCoder(coder.W_dec, coder.b_dec, Math.max(1, Math.round(figures.l0)));
    const [searched] = await measureOnToy([pursuit], backend, source, EVALUATION_CHUNKS, signal);
    results.push({
      method: run.architecture,
      kind: 'autoencoder',
      figures,
      seconds: outcome.seconds,
      amortisationGap: searched.explainedVariance - figures.explainedVariance,
    });
  }
  return results;
}

/** The first rows of a source. */
async function rowsOf(source: ToySource, nRows: number): Promise<Float32Array> {
  const rows = new Float32Array(nRows * source.dIn);
  for (let chunk = 0, filled = 0; filled < rows.length; chunk++) {
    const part = (await source.readChunk(chunk)).subarray(0, rows.length - filled);
    rows.set(part, filled);
    filled += part.length;
  }
  return rows;
}

function secondsSince(start: number): number {
  return (performance.now() - start) / 1000;
}
