import type { ActivationSource } from '../activations/index.ts';
import type { Codes, KernelBackend } from '../kernels/contract.ts';
import { referenceBackend } from '../kernels/reference/index.ts';
import { hashSeed, Random } from '../random/index.ts';
import { expectPositiveInteger } from '../tensor/index.ts';
import { spreadRows_, unitRows } from './directions.ts';
import type { CorrelationOptions } from './copula.ts';
import { type Firing, firing, type Magnitudes } from './firing.ts';
import { type Frequencies, probabilities } from './frequencies.ts';
import type { HierarchyOptions } from './hierarchy.ts';

/** What synthetic superposition data is like. */
export interface ToyModel {
  readonly dIn: number;
  readonly nFeatures: number;
  readonly frequencies: Frequencies;
  readonly magnitudes: Magnitudes;
  readonly correlation?: CorrelationOptions;
  readonly hierarchy?: HierarchyOptions;
  /** Push the directions apart before use. */
  readonly spread?: boolean;
  /** Length of one fixed vector added to every row. */
  readonly offset?: number;
  /** Standard deviation of the normal noise of every element. */
  readonly noise?: number;
  /**
   * A manifold beside the features: with this probability a row gets a point of a circle of radius 1 in a random
   * plane, all angles alike.
   */
  readonly circle?: number;
}

export interface ToyOptions extends ToyModel {
  readonly nChunks: number;
  readonly chunkRows: number;
  readonly seed: number;
}

/**
 * Rows x = Σ_i a_i g_i (+ circle + offset + noise) with known directions g_i and known activations a_i.
 *
 * The rows of a chunk depend on its number, the seed and the backend's rounding alone, so chunks beyond `nChunks` are rows that training on the
 * source has not seen.
 */
export class ToySource implements ActivationSource {
  readonly dIn: number;
  readonly contextSize = 1;
  readonly nChunks: number;
  readonly description: string;
  readonly hash: string;
  /** [nFeatures, dIn], unit rows: the truth. */
  readonly features: Float32Array;
  /** [2, dIn], orthonormal: the plane of the circle; undefined without one. */
  readonly plane: Float32Array | undefined;
  /** [dIn]: what is added to every row. */
  readonly offset: Float32Array;
  readonly #options: ToyOptions;
  readonly #firing: Firing;
  readonly #backend: KernelBackend;

  /**
   * @param backend adds up rows, and what features that depend on each other have in common
   * @throws {MonosemeError} ERR_OPTION
   */
  constructor(options: ToyOptions, backend: KernelBackend = referenceBackend) {
    const { dIn, nFeatures, seed } = options;
    expectPositiveInteger('dIn', dIn);
    expectPositiveInteger('nFeatures', nFeatures);
    expectPositiveInteger('nChunks', options.nChunks);
    expectPositiveInteger('chunkRows', options.chunkRows);
    this.#options = options;
    this.#backend = backend;
    this.dIn = dIn;
    this.nChunks = options.nChunks;
    this.description = `toy ${JSON.stringify(options)}`;
    this.hash = hashSeed(0, this.description).toString(16);
    const random = new Random(hashSeed(seed, 'features'));
    this.features = unitRows(nFeatures, dIn, random);
    this.offset = unitRows(1, dIn, random).map((value) => value * (options.offset ?? 0));
    this.plane = options.circle === undefined ? undefined : orthonormalPair(dIn, random);
    if (options.spread) spreadRows_(this.features, dIn);
    this.#firing = firing(
      { ...options, probability: probabilities(options.frequencies, nFeatures) },
      new Random(hashSeed(seed, 'firing')),
      backend,
    );
  }

  chunkRows(): number {
    return this.#options.chunkRows;
  }

  async readChunk(chunk: number): Promise<Float32Array> {
    return this.rowsOf(await this.truth(chunk), chunk);
  }

  /** The features' activations in the rows of a chunk: dSae stands for nFeatures. Ascending within a row. */
  async truth(chunk: number): Promise<Codes> {
    const { nFeatures, chunkRows, seed } = this.#options;
    const rowPointers = new Uint32Array(chunkRows + 1);
    const features: number[] = [];
    const magnitudes: number[] = [];
    const random = new Random(hashSeed(seed, 'chunk', chunk));
    await this.#firing.drawRows(random, chunkRows, (row, feature, magnitude) => {
      const start = features.length - rowPointers[row + 1]++;
      let place = features.length;
      features.push(feature);
      magnitudes.push(magnitude);
      for (; place > start && features[place - 1] > feature; place--) {
        features[place] = features[place - 1];
        magnitudes[place] = magnitudes[place - 1];
      }
      features[place] = feature;
      magnitudes[place] = magnitude;
    });
    for (let row = 0; row < chunkRows; row++) rowPointers[row + 1] += rowPointers[row];
    return {
      nRows: chunkRows,
      dSae: nFeatures,
      rowPointers,
      latentIndices: Uint32Array.from(features),
      values: Float32Array.from(magnitudes),
    };
  }

  /** The rows of a chunk from its true activations, f32 [chunkRows, dIn]. */
  async rowsOf(truth: Codes, chunk: number): Promise<Float32Array> {
    const { dIn, noise = 0, circle, seed } = this.#options;
    const { features: W_dec, offset: b_dec, plane } = this;
    const rows = await this.#backend.decode({ codes: truth, dOut: dIn, W_dec, b_dec });
    if (!plane && noise === 0) return rows;
    const random = new Random(hashSeed(seed, 'beside', chunk));
    for (let start = 0; start < rows.length; start += dIn) {
      const out = rows.subarray(start, start + dIn);
      if (plane && random.uniform() < (circle as number)) {
        const angle = 2 * Math.PI * random.uniform();
        addRow_(out, plane, 0, Math.cos(angle));
        addRow_(out, plane, 1, Math.sin(angle));
      }
      if (noise > 0) for (let i = 0; i < dIn; i++) out[i] += noise * random.normal();
    }
    return rows;
  }
}

function addRow_(out: Float32Array, matrix: Float32Array, row: number, factor: number): void {
  const start = row * out.length;
  for (let i = 0; i < out.length; i++) out[i] += factor * matrix[start + i];
}

/** Two random unit vectors at a right angle, [2, width]. */
function orthonormalPair(width: number, random: Random): Float32Array {
  const rows = unitRows(2, width, random);
  let dot = 0;
  for (let i = 0; i < width; i++) dot += rows[i] * rows[width + i];
  let square = 0;
  for (let i = 0; i < width; i++) {
    rows[width + i] -= dot * rows[i];
    square += rows[width + i] ** 2;
  }
  for (let i = 0; i < width; i++) rows[width + i] /= Math.sqrt(square);
  return rows;
}
