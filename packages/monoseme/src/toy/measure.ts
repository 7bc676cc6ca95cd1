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
  readonly dSae: number;
  /** Latents that fire on none of the rows. */
  readonly dead: number;
  /** Active true features of a row, on average. */
  readonly trueL0: number;
  /** Share of the latents that lie around the circle; of a set with a circle alone. */
  readonly inPlane?: number;
}

/**
 * Measure coders on rows that no training on the source has seen, `nChunks` chunks after its own. The rows are made once
 * for all.
 */
export async function measureOnToy(
  coders: readonly Coder[],
  backend: KernelBackend,
  source: ToySource,
  nChunks: number,
  signal?: AbortSignal,
): Promise<ToyFigures[]> {
  const measured: Measured[] = [];
  for (const coder of coders) {
    throwIfAborted(signal);
    const found = await recovery(backend, source.features, coder.W_dec, source.dIn);
    measured.push(new Measured(coder, backend, source, found));
  }
  let trueActive = 0;
  for (let chunk = source.nChunks; chunk < source.nChunks + nChunks; chunk++) {
    const truth = await source.truth(chunk);
    const x = await source.rowsOf(truth, chunk);
    for (const one of measured) {
      throwIfAborted(signal);
      await one.add(x, truth);
    }
    trueActive += truth.values.length;
  }
  const nRows = nChunks * source.chunkRows();
  return measured.map((one) => one.figures(trueActive / nRows));
}

/** The sums of one coder. */
class Measured {
  readonly #coder: Coder;
  readonly #backend: KernelBackend;
  readonly #source: ToySource;
  readonly #recovered: Omit<Recovery, 'featureOfLatent'>;
  readonly #sums: ReconstructionSums;
  readonly #detection: Detection;

  constructor(coder: Coder, backend: KernelBackend, source: ToySource, found: Recovery) {
    const { dIn, features } = source;
    const { featureOfLatent, ...recovered } = found;
    this.#coder = coder;
    this.#backend = backend;
    this.#source = source;
    this.#recovered = recovered;
    this.#sums = new ReconstructionSums(dIn, coder.W_dec.length / dIn);
    this.#detection = new Detection(featureOfLatent, features.length / dIn);
  }

  async add(x: Float32Array, truth: Codes): Promise<void> {
    const { W_dec, b_dec } = this.#coder;
    const codes = await this.#coder.encode(x, truth.nRows);
    this.#sums.add(x, await this.#backend.decode({ codes, dOut: this.#source.dIn, W_dec, b_dec }), codes);
    this.#detection.add(codes, truth);
  }

  figures(trueL0: number): ToyFigures {
    const { plane, dIn } = this.#source;
    const figures = this.#sums.figures();
    return {
      ...this.#recovered,
      ...this.#detection.figures(),
      ...figures,
      dSae: this.#sums.firedTokens.length,
      dead: Math.round(figures.fracDead * this.#sums.firedTokens.length),
      trueL0,
      ...(plane && { inPlane: shareInPlane(plane, this.#coder.W_dec, dIn) }),
    };
  }
}
