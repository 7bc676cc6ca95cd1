import { firingHash, latentHash } from './firing-hash.ts';
import type { ActivationMoments } from './activation-moments.ts';
import type { GatheredArrays } from './index-checkpoint.ts';

/** Firings of a latent that are taken whole; later ones ever more rarely, each counting for those passed over. */
const SAMPLE = 64;
/** Every how many rows the elements' own mean and deviation are taken. */
const ROW_STEP = 16;

/** Elements of the activation that rise and fall with a latent. */
export interface CorrelatedNeurons {
  readonly neurons: number[];
  /** Pearson correlations over all tokens, largest size first. */
  readonly correlations: number[];
}

/**
 * Pearson correlation of every latent with every element of the activation, over all tokens, in one pass.
 *
 * Formula  r = (E[f·x] − E[f]·E[x]) / (σ_f·σ_x). E[f·x] is estimated without bias from a sample of firings: one is
 *          taken with probability p = min(1, 64 / firings so far) and counts 1/p times.
 * Memory   dSae · dIn floats
 * Source   Bricken et al. 2023, the panel's table of correlated neurons.
 */
export class NeuronCorrelation {
  readonly #dIn: number;
  readonly #seed: number;
  /** [dSae, dIn]: Σ f·x. */
  readonly #products: Float32Array;
  /** [dIn] */
  readonly #sums: Float64Array;
  readonly #squares: Float64Array;
  /** [1]: rows in the sums. */
  readonly #nRows = new Float64Array(1);

  constructor(dSae: number, dIn: number, seed: number) {
    this.#dIn = dIn;
    this.#seed = seed;
    this.#products = new Float32Array(dSae * dIn);
    this.#sums = new Float64Array(dIn);
    this.#squares = new Float64Array(dIn);
  }

  static bytesPerLatent(dIn: number): number {
    return 4 * dIn;
  }

  /** All of its state. */
  arrays(): GatheredArrays {
    return { products: this.#products, sums: this.#sums, squares: this.#squares, nRows: this.#nRows };
  }

  /** Add the activations of a batch: [nRows, dIn]; its first row is token `firstPosition` of the text. */
  addRows(x: Float32Array, firstPosition: number): void {
    const dIn = this.#dIn;
    const skipped = (ROW_STEP - (firstPosition % ROW_STEP)) % ROW_STEP;
    for (let start = skipped * dIn; start < x.length; start += ROW_STEP * dIn) {
      for (let i = 0; i < dIn; i++) {
        const value = x[start + i];
        this.#sums[i] += value;
        this.#squares[i] += value * value;
      }
      this.#nRows[0]++;
    }
  }

  /**
   * Add the run of one latent in the same batch.
   *
   * @param nBefore firings of the latent before this batch
   */
  addRun(
    latent: number,
    nBefore: number,
    x: Float32Array,
    firstPosition: number,
    positions: Uint32Array,
    values: Float32Array,
    start: number,
    end: number,
  ): void {
    const dIn = this.#dIn;
    const hash = latentHash(this.#seed, latent);
    const products = this.#products;
    const base = latent * dIn;
    for (let i = start; i < end; i++) {
      const probability = Math.min(1, SAMPLE / (nBefore + i - start + 1));
      if (probability < 1 && firingHash(hash, positions[i]) >= probability * 2 ** 32) continue;
      // In f32 throughout, which spares three conversions an element.
      const weight = Math.fround(values[i] / probability);
      const row = (positions[i] - firstPosition) * dIn;
      for (let k = 0; k < dIn; k++)
        products[base + k] = Math.fround(products[base + k] + Math.fround(weight * x[row + k]));
    }
  }

  /** The `n` elements of largest |r| with a latent; none for one that never fired. */
  of(latent: number, moments: ActivationMoments, nTokens: number, n: number): CorrelatedNeurons {
    const { nFired, mean, std } = moments.of(latent);
    if (nFired === 0) return { neurons: [], correlations: [] };
    const density = nFired / nTokens;
    const meanF = density * mean;
    const deviationF = Math.sqrt(Math.max(0, density * (std * std + mean * mean) - meanF * meanF));
    const found: { neuron: number; r: number }[] = [];
    for (let i = 0; i < this.#dIn; i++) {
      const meanX = this.#sums[i] / this.#nRows[0];
      const deviationX = Math.sqrt(Math.max(0, this.#squares[i] / this.#nRows[0] - meanX * meanX));
      const covariance = this.#products[latent * this.#dIn + i] / nTokens - meanF * meanX;
      const r = covariance / (deviationF * deviationX);
      if (!Number.isFinite(r)) continue;
      if (found.length === n && Math.abs(r) <= Math.abs(found[n - 1].r)) continue;
      let place = found.length;
      while (place > 0 && Math.abs(found[place - 1].r) < Math.abs(r)) place--;
      found.splice(place, 0, { neuron: i, r: Math.min(1, Math.max(-1, r)) });
      if (found.length > n) found.pop();
    }
    return { neurons: found.map(({ neuron }) => neuron), correlations: found.map(({ r }) => r) };
  }
}
