import { type Dictionary, encode } from '../dictionary/index.ts';
import { type DensityFigures, type ReconstructionFigures, ReconstructionSums } from '../evaluation/index.ts';
import type { Codes, KernelBackend } from '../kernels/contract.ts';
import { throwIfAborted } from '../errors.ts';
import { Detection, type DetectionFigures } from './detection.ts';
import { type Recovery, recovery, shareInPlane } from './recovery.ts';
import type { ToySource } from './toy-source.ts';

/** Directions and a way to use them: a trained dictionary or a classical one. */
export interface Coder {
  /** [dSae, dIn] */
  readonly W_dec: Float32Array;
  /** [dIn] */
  readonly b_dec: Float32Array;
  /** Codes of raw rows, [nRows, dIn]. */
  encode(x: Float32Array, nRows: number): Promise<Codes>;
}

export function dictionaryCoder(dictionary: Dictionary, backend: KernelBackend): Coder {
  const { W_dec, b_dec } = dictionary.weights;
  return { W_dec, b_dec, encode: (x, nRows) => encode(dictionary, backend, x, nRows) };
}

export interface ToyFigures
  extends Omit<Recovery, 'featureOfLatent'>, DetectionFigures, ReconstructionFigures, DensityFigures {
  /** Latents that fire on none of the rows. */
  readonly dead: number;
  /** Active true features of a row, on average. */
  readonly trueL0: number;
  /** Share of the latents that lie around the circle; of a set with a circle alone. */
  readonly inPlane?: number;
}

/** Measure on rows that no training on the source has seen, `nChunks` chunks after its own. */
export async function measureOnToy(
  coder: Coder,
  backend: KernelBackend,
  source: ToySource,
  nChunks: number,
  signal?: AbortSignal,
): Promise<ToyFigures> {
  const { dIn, features, plane } = source;
  const { W_dec, b_dec } = coder;
  const dSae = W_dec.length / dIn;
  const { featureOfLatent, ...recovered } = recovery(features, W_dec, dIn);
  const sums = new ReconstructionSums(dIn, dSae);
  const detection = new Detection(featureOfLatent, features.length / dIn);
  let trueActive = 0;
  for (let chunk = source.nChunks; chunk < source.nChunks + nChunks; chunk++) {
    throwIfAborted(signal);
    const truth = source.truth(chunk);
    const x = source.rowsOf(truth, chunk);
    const codes = await coder.encode(x, truth.nRows);
    sums.add(x, await backend.decode({ codes, dOut: dIn, W_dec, b_dec }), codes);
    detection.add(codes, truth);
    trueActive += truth.values.length;
  }
  const figures = sums.figures();
  return {
    ...recovered,
    ...detection.figures(),
    ...figures,
    dead: Math.round(figures.fracDead * dSae),
    trueL0: trueActive / sums.nTokens,
    ...(plane && { inPlane: shareInPlane(plane, W_dec, dIn) }),
  };
}
