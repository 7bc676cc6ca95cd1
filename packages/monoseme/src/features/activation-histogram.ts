import type { GatheredArrays } from './index-checkpoint.ts';

/** Octaves below the limit that are resolved; what is smaller is counted together. */
const OCTAVES = 12;
/** Bins of equal width inside an octave. 32 of them place a value to within 3 %. */
const BINS_PER_OCTAVE = 32;
const BINS = OCTAVES * BINS_PER_OCTAVE;
/** An f32 shifted right by this leaves exponent and the five highest bits of the fraction. */
const SHIFT = 18;
/** Bins of an octave in the coarse histogram that is stored. */
export const LOG_BINS_PER_OCTAVE = 4;

/** A histogram of one latent. Bin i holds the values in [edges[i], edges[i + 1]). */
export interface Bins {
  readonly edges: Float64Array;
  readonly counts: Float64Array;
}

/**
 * Histograms of the firing activations of every latent, on a scale that needs no maximum in advance.
 *
 * Each latent has a limit, a power of two above all its values, and counts values in 12 octaves below the limit, 32
 * bins of equal width an octave, and one bin for all that is smaller (less than limit / 4096). When a value reaches
 * the limit the limit doubles and the lowest octave joins the last bin: no count is lost.
 */
export class ActivationHistogram {
  /** [dSae]: binary exponent e of the limit 2^e, biased by 127 as in an f32; 0 before the first value. */
  readonly #exponents: Uint16Array;
  /** [dSae, 1 + BINS]; bin 0 is the one for small values. */
  readonly #counts: Uint32Array;

  constructor(dSae: number) {
    this.#exponents = new Uint16Array(dSae);
    this.#counts = new Uint32Array(dSae * (1 + BINS));
  }

  /** Bytes of memory a latent takes. */
  static readonly bytesPerLatent = 4 * (1 + BINS) + 2;

  /** All of its state. */
  arrays(): GatheredArrays {
    return { exponents: this.#exponents, counts: this.#counts };
  }

  /**
   * @param bits of the f32 values of a batch, `start` … `end − 1` those of the latent
   * @param max largest value of the run or more
   */
  addRun(latent: number, bits: Uint32Array, start: number, end: number, max: number): void {
    this.#grow(latent, max);
    const counts = this.#counts;
    const base = latent * (1 + BINS);
    // The lowest resolved bin begins at limit · 2^−OCTAVES.
    const lowest = (this.#exponents[latent] - OCTAVES) * BINS_PER_OCTAVE;
    for (let i = start; i < end; i++) {
      const bin = (bits[i] >>> SHIFT) - lowest;
      counts[base + (bin < 0 ? 0 : bin + 1)]++;
    }
  }

  #grow(latent: number, max: number): void {
    scratchFloat[0] = max;
    const needed = (scratchBits[0] >>> 23) + 1;
    const current = this.#exponents[latent];
    if (needed <= current) return;
    this.#exponents[latent] = needed;
    if (current === 0) return;
    const base = latent * (1 + BINS);
    const shift = Math.min(BINS, (needed - current) * BINS_PER_OCTAVE);
    const counts = this.#counts;
    for (let bin = 0; bin < shift; bin++) counts[base] += counts[base + 1 + bin];
    counts.copyWithin(base + 1, base + 1 + shift, base + 1 + BINS);
    counts.fill(0, base + 1 + BINS - shift, base + 1 + BINS);
  }

  /** The limit 2^e of a latent; 0 before its first value. */
  limit(latent: number): number {
    const exponent = this.#exponents[latent];
    return exponent === 0 ? 0 : 2 ** (exponent - 127);
  }

  /** All bins, from 0 to the limit. */
  bins(latent: number): Bins {
    const limit = this.limit(latent);
    const edges = UNIT_EDGES.map((edge) => limit * edge);
    const counts = Float64Array.from(this.#counts.subarray(latent * (1 + BINS), (latent + 1) * (1 + BINS)));
    return { edges, counts };
  }

  /**
   * The counts in bins of equal width over [0, max]. Where an edge falls inside one of our finer bins its count is
   * shared out by width, so counts are rounded to whole numbers by largest remainder: their sum is exact.
   */
  linear(latent: number, nBins: number, max: number): Uint32Array {
    const { edges, counts } = this.bins(latent);
    const shares = new Float64Array(nBins);
    for (let bin = 0; bin < counts.length; bin++) {
      if (counts[bin] === 0) continue;
      const low = edges[bin];
      // No value lies above max: the bin that holds it ends there.
      const high = Math.min(edges[bin + 1], max);
      const first = Math.min(nBins - 1, Math.floor((low / max) * nBins));
      const last = Math.min(nBins - 1, Math.max(first, Math.ceil((high / max) * nBins) - 1));
      for (let target = first; target <= last; target++) {
        const overlap = Math.min(high, ((target + 1) / nBins) * max) - Math.max(low, (target / nBins) * max);
        const share = first === last ? 1 : Math.max(0, overlap) / (high - low);
        shares[target] += counts[bin] * share;
      }
    }
    return wholeCounts(shares);
  }

  /** The value below which a share `q` of the firings lies, interpolated inside a bin. Good to about 2 %. */
  quantile(latent: number, q: number, max: number): number {
    const counts = this.#counts.subarray(latent * (1 + BINS), (latent + 1) * (1 + BINS));
    const limit = this.limit(latent);
    let total = 0;
    for (let bin = 0; bin < counts.length; bin++) total += counts[bin];
    let below = 0;
    for (let bin = 0; bin < counts.length; bin++) {
      if (counts[bin] > 0 && below + counts[bin] >= q * total) {
        const inside = (q * total - below) / counts[bin];
        const low = limit * UNIT_EDGES[bin];
        const high = Math.min(limit * UNIT_EDGES[bin + 1], max);
        return low + inside * (high - low);
      }
      below += counts[bin];
    }
    return max;
  }

  /**
   * The counts on a grid common to all latents: bin 0 is [0, 2^lowestExponent), then 4 bins of equal width for each
   * octave up to 2^highestExponent.
   */
  logarithmic(latent: number, lowestExponent: number, highestExponent: number): Uint32Array {
    const { edges, counts } = this.bins(latent);
    const out = new Uint32Array(1 + (highestExponent - lowestExponent) * LOG_BINS_PER_OCTAVE);
    for (let bin = 0; bin < counts.length; bin++) {
      if (counts[bin] > 0) out[logBin(edges[bin], lowestExponent)] += counts[bin];
    }
    return out;
  }
}

const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/** Edges of the bins below a limit of 1. */
const UNIT_EDGES = Float64Array.from({ length: BINS + 2 }, (_, i) => {
  if (i === 0) return 0;
  const octave = Math.floor((i - 1) / BINS_PER_OCTAVE);
  return 2 ** (octave - OCTAVES) * (1 + ((i - 1) % BINS_PER_OCTAVE) / BINS_PER_OCTAVE);
});

function logBin(value: number, lowestExponent: number): number {
  if (value < 2 ** lowestExponent) return 0;
  const octave = Math.floor(Math.log2(value));
  const inside = Math.floor((value / 2 ** octave - 1) * LOG_BINS_PER_OCTAVE);
  return 1 + (octave - lowestExponent) * LOG_BINS_PER_OCTAVE + inside;
}

/** The edges of {@link ActivationHistogram.logarithmic}. */
export function logEdges(lowestExponent: number, highestExponent: number): number[] {
  const edges = [0];
  for (let exponent = lowestExponent; exponent < highestExponent; exponent++) {
    for (let i = 0; i < LOG_BINS_PER_OCTAVE; i++) edges.push(2 ** exponent * (1 + i / LOG_BINS_PER_OCTAVE));
  }
  edges.push(2 ** highestExponent);
  return edges;
}

/** Whole numbers near the shares and with the same sum; what is left over goes to the largest remainders. */
export function wholeCounts(shares: Float64Array): Uint32Array {
  const whole = Uint32Array.from(shares, Math.floor);
  const total = Math.round(shares.reduce((sum, share) => sum + share, 0));
  let missing = total - whole.reduce((sum, count) => sum + count, 0);
  const order = Array.from(shares, (share, i) => ({ i, rest: share - whole[i] })).sort(
    (a, b) => b.rest - a.rest || a.i - b.i,
  );
  for (const { i } of order) {
    if (missing-- <= 0) break;
    whole[i]++;
  }
  return whole;
}
