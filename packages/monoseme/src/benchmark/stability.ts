import { type Dictionary, outputWidth, unitRows } from '../dictionary/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { largestMatching } from '../toy/index.ts';

/** Larger dictionaries are matched by mutual nearest neighbours: an assignment holds [dSae, dSae] and takes minutes. */
const MAX_ASSIGNED = 8192;
const ROWS_PER_BLOCK = 512;

/** How far two dictionaries hold the same decoder directions. */
export interface Stability {
  /** Mean cosine of a latent with the nearest of the other dictionary, in both directions. */
  readonly nearest: readonly [ofFirst: number, ofSecond: number];
  /** Share of latents with one in the other dictionary at a cosine of 0.9 or more. */
  readonly fracFound: readonly [ofFirst: number, ofSecond: number];
  /** Share of the latents of the smaller dictionary that are each other's nearest with one of the larger. */
  readonly fracMutual: number;
  /** Mean cosine of the best one-to-one matching; undefined above 8,192 latents. */
  readonly mcc: number | undefined;
  /** Cosines of the pairs of the matching, largest first; of the mutual pairs where there is no matching. */
  readonly matchedCosines: Float32Array;
}

const FOUND_COSINE = 0.9;

/**
 * Stability between seeds: compare the decoder directions of two dictionaries.
 *
 * Formula  MCC = mean over the latents of the smaller of cos(d, match(d)), over the one-to-one matching of largest sum
 * Source   Paulo and Belrose 2025 and Song et al. 2025 (pairwise dictionary mean correlation coefficient). Cosines here are
 *          signed, negative ones count as 0: latents only add, so −d is another feature. Cost 2·n·m·dIn on the backend, and
 *          at worst n²·m for the matching.
 * @throws {MonosemeError} ERR_MISMATCH when the widths of their reconstructions differ
 */
export async function seedStability(
  first: Dictionary,
  second: Dictionary,
  backend: KernelBackend,
  signal?: AbortSignal,
): Promise<Stability> {
  const width = outputWidth(first);
  if (outputWidth(second) !== width)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `The dictionaries reconstruct ${width} and ${outputWidth(second)} elements.`,
      'Compare dictionaries of one hook point.',
    );
  const isSwapped = first.config.dSae > second.config.dSae;
  const [small, large] = isSwapped ? [second, first] : [first, second];
  const [n, m] = [small.config.dSae, large.config.dSae];
  const cosines = m <= MAX_ASSIGNED ? new Float32Array(n * m) : undefined;
  const [best, bestOfColumn] = [nearestOf(n), nearestOf(m)];
  const [unit, others] = [unitRows(small.weights.W_dec, width), unitRows(large.weights.W_dec, width)];
  for (let start = 0; start < n; start += ROWS_PER_BLOCK) {
    throwIfAborted(signal);
    const nRows = Math.min(ROWS_PER_BLOCK, n - start);
    const { rowPointers, latentIndices, values } = await backend.encode({
      x: unit.subarray(start * width, (start + nRows) * width),
      ...{ nRows, dIn: width, dSae: m, W_enc: others, b_enc: new Float32Array(m) },
      selection: { kind: 'threshold' },
    });
    for (let row = 0; row < nRows; row++) {
      for (let pair = rowPointers[row]; pair < rowPointers[row + 1]; pair++) {
        const [i, j, cosine] = [start + row, latentIndices[pair], values[pair]];
        if (cosines) cosines[i * m + j] = cosine;
        improve(best, i, j, cosine);
        improve(bestOfColumn, j, i, cosine);
      }
    }
  }
  const mutual = Array.from(best.match.keys()).filter(
    (i) => best.match[i] >= 0 && bestOfColumn.match[best.match[i]] === i,
  );
  const matched = cosines
    ? Float32Array.from(largestMatching(cosines, n, m), (j, i) => cosines[i * m + j])
    : Float32Array.from(mutual, (i) => best.cosine[i]);
  const both = isSwapped ? ([bestOfColumn, best] as const) : ([best, bestOfColumn] as const);
  const found = ({ cosine }: Nearest) =>
    cosine.filter((value) => value >= FOUND_COSINE).length / cosine.length;
  return {
    nearest: [mean(both[0].cosine), mean(both[1].cosine)],
    fracFound: [found(both[0]), found(both[1])],
    fracMutual: mutual.length / n,
    mcc: cosines && mean(matched),
    matchedCosines: matched.sort().reverse(),
  };
}

/** The nearest of the other dictionary of each latent, −1 where no cosine is positive. */
interface Nearest {
  readonly match: Int32Array;
  readonly cosine: Float32Array;
}

const nearestOf = (n: number): Nearest => ({
  match: new Int32Array(n).fill(-1),
  cosine: new Float32Array(n),
});

function improve({ match, cosine }: Nearest, i: number, j: number, value: number): void {
  if (value <= cosine[i]) return;
  match[i] = j;
  cosine[i] = value;
}

function mean(values: Float32Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
