import { type ActivationSource } from '../activations/index.ts';
import { hashSeed, Random } from '../random/index.ts';

/** Settings of the planted-dictionary data (a small version of Sharkey et al. 2022). */
export interface PlantedOptions {
  readonly dIn: number;
  readonly nFeatures: number;
  /** Active features of a row, on average. */
  readonly meanActive: number;
  /** Length of one fixed vector added to every row. */
  readonly offset?: number;
  readonly nChunks: number;
  readonly chunkRows: number;
  readonly seed: number;
}

/**
 * Rows with a known dictionary: each feature is a random unit direction, active independently with the same
 * probability, its amplitude uniform in (0, 1).
 */
export class PlantedSource implements ActivationSource {
  readonly dIn: number;
  readonly contextSize = 1;
  readonly nChunks: number;
  readonly description: string;
  readonly hash: string;
  /** [nFeatures, dIn], unit rows: the truth. */
  readonly features: Float32Array;
  readonly #options: PlantedOptions;
  readonly #offset: Float32Array;

  constructor(options: PlantedOptions) {
    this.#options = options;
    this.dIn = options.dIn;
    this.nChunks = options.nChunks;
    this.description = `planted ${JSON.stringify(options)}`;
    this.hash = hashSeed(0, this.description).toString(16);
    const random = new Random(hashSeed(options.seed, 'features'));
    this.features = unitRows(options.nFeatures, options.dIn, random);
    this.#offset = unitRows(1, options.dIn, random).map((value) => value * (options.offset ?? 0));
  }

  chunkRows(): number {
    return this.#options.chunkRows;
  }

  async readChunk(index: number): Promise<Float32Array> {
    const { dIn, nFeatures, meanActive, chunkRows, seed } = this.#options;
    const random = new Random(hashSeed(seed, 'chunk', index));
    const logSilent = Math.log(1 - meanActive / nFeatures);
    const gap = () => Math.floor(Math.log(1 - random.uniform()) / logSilent);
    const rows = new Float32Array(chunkRows * dIn);
    for (let row = 0; row < chunkRows; row++) {
      rows.set(this.#offset, row * dIn);
      // Gaps between active features are geometric: as many draws as active features, not as features.
      for (let feature = gap(); feature < nFeatures; feature += 1 + gap()) {
        const amplitude = random.uniform();
        for (let i = 0; i < dIn; i++) rows[row * dIn + i] += amplitude * this.features[feature * dIn + i];
      }
    }
    return rows;
  }
}

function unitRows(nRows: number, width: number, random: Random): Float32Array {
  const rows = new Float32Array(nRows * width).map(() => random.normal());
  for (let row = 0; row < nRows; row++) {
    const slice = rows.subarray(row * width, (row + 1) * width);
    const norm = Math.sqrt(slice.reduce((square, value) => square + value * value, 0));
    slice.forEach((value, i) => (slice[i] = value / norm));
  }
  return rows;
}

/** How well a dictionary recovers the planted features. */
export interface Recovery {
  /** Mean over the true features of the largest cosine with any latent. */
  readonly mmcs: number;
  /** Share of the true features whose largest cosine exceeds 0.9. */
  readonly above09: number;
}

export function recovery(features: Float32Array, W_dec: Float32Array, width: number): Recovery {
  const norms = rowNorms(W_dec, width);
  const featureNorms = rowNorms(features, width);
  const best = Array.from(featureNorms, (featureNorm, feature) => {
    let max = -1;
    for (let j = 0; j < norms.length; j++) {
      let dot = 0;
      for (let i = 0; i < width; i++) dot += features[feature * width + i] * W_dec[j * width + i];
      if (norms[j] > 0) max = Math.max(max, dot / (featureNorm * norms[j]));
    }
    return max;
  });
  return {
    mmcs: best.reduce((sum, value) => sum + value, 0) / best.length,
    above09: best.filter((value) => value > 0.9).length / best.length,
  };
}

function rowNorms(matrix: Float32Array, width: number): Float64Array {
  const norms = new Float64Array(matrix.length / width);
  for (let i = 0; i < matrix.length; i++) norms[Math.floor(i / width)] += matrix[i] * matrix[i];
  return norms.map(Math.sqrt);
}
