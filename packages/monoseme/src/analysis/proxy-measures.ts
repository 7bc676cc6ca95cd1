import type { TokenSet } from '../corpus/index.ts';
import { type Interval, MIN_BLOCKS, quantiles, RESAMPLES } from '../evaluation/index.ts';
import type { Codes } from '../kernels/contract.ts';
import { hashSeed, Random } from '../random/index.ts';
import { type CodedText, codedChunks, type Pass } from './coded-text.ts';
import type { TokenBytes } from './context-text.ts';
import { neurons } from './controls.ts';
import { type Proxy, ProxyScorer } from './proxies.ts';
import { addActivation, emptyHistogram, type SplitHistogram } from './split-histogram.ts';

/** Documents are joined to so many blocks. */
const MAX_BLOCKS = 64;
/** Sums of a block for one proxy: Σs, Σs², then Σf, Σf², Σfs of the latent and of the neuron. */
const SUMS = 8;

/** 95 % intervals of what a proxy search found; of the pair that it chose, not of the choosing. */
export interface ProxyIntervals {
  readonly latent: Interval | undefined;
  readonly neuron: Interval | undefined;
  /** Correlation of the latent minus that of the neuron. */
  readonly lead: Interval | undefined;
}

/** A latent and a neuron that are looked at by one proxy. */
export interface ProxySubject {
  /** Place among the proxies. */
  readonly proxy: number;
  readonly latent: number | undefined;
  /** Largest activation of the latent. */
  readonly largest: number;
  readonly neuron: number | undefined;
}

export interface ProxyMeasures {
  readonly intervals: ProxyIntervals;
  /** Undefined without a latent that is active. */
  readonly histogram: SplitHistogram | undefined;
}

/**
 * What a second pass says of the latents and neurons that a search found: how much another text would change their
 * correlations (percentile intervals of 95 % by block bootstrap over documents), and the latent's activations split by
 * the proxy.
 *
 * @returns one entry a subject; undefined intervals where a correlation is, or with fewer than {@link MIN_BLOCKS} documents
 * @throws {MonosemeError} ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function proxyMeasures(
  text: CodedText,
  tokens: TokenSet,
  vocabulary: TokenBytes,
  proxies: readonly Proxy[],
  subjects: readonly ProxySubject[],
  pass: Pass,
): Promise<ProxyMeasures[]> {
  const blockOf = blocks(tokens);
  const nBlocks = Math.min(MAX_BLOCKS, tokens.documents.length);
  const scorer = new ProxyScorer(proxies, tokens, vocabulary);
  const sums = subjects.map(() => new Float64Array(nBlocks * SUMS));
  const histograms = subjects.map(({ latent, largest }) =>
    latent !== undefined && largest > 0 ? emptyHistogram(largest) : undefined,
  );
  const sizes = new Float64Array(nBlocks);
  const texts = [text, { dictionary: neurons(text.source.dIn), source: text.source }];
  for await (const { codes, firstToken } of codedChunks(texts, pass)) {
    const scores = scorer.score(firstToken, codes[0].nRows);
    for (let row = 0; row < scores.nRows; row++) {
      const block = blockOf(firstToken + row);
      sizes[block]++;
      subjects.forEach(({ proxy, latent, neuron }, s) => {
        const score = valueAt(scores, row, proxy);
        const at = sums[s].subarray(block * SUMS, (block + 1) * SUMS);
        at[0] += score;
        at[1] += score * score;
        [latent, neuron].forEach((column, side) => {
          const value = column === undefined ? 0 : valueAt(codes[side], row, column);
          const histogram = histograms[s];
          if (side === 0 && value > 0 && histogram) addActivation(histogram, value, score > 0);
          at[2 + 3 * side] += value;
          at[3 + 3 * side] += value * value;
          at[4 + 3 * side] += value * score;
        });
      });
    }
  }
  const nothing = { latent: undefined, neuron: undefined, lead: undefined };
  return subjects.map(({ latent, neuron, proxy }, s) => {
    const known = latent !== undefined && neuron !== undefined && nBlocks >= MIN_BLOCKS;
    const seed = hashSeed(0, 'proxy', proxies[proxy].name);
    return { intervals: known ? resampled(sums[s], sizes, seed) : nothing, histogram: histograms[s] };
  });
}

function resampled(sums: Float64Array, sizes: Float64Array, seed: number): ProxyIntervals {
  const random = new Random(seed);
  const found = [0, 1, 2].map(() => new Float64Array(RESAMPLES));
  for (let resample = 0; resample < RESAMPLES; resample++) {
    const total = new Float64Array(SUMS);
    let n = 0;
    for (let i = 0; i < sizes.length; i++) {
      const block = random.integer(sizes.length);
      n += sizes[block];
      for (let k = 0; k < SUMS; k++) total[k] += sums[block * SUMS + k];
    }
    const [latent, neuron] = [correlation(n, total, 0), correlation(n, total, 1)];
    found[0][resample] = latent;
    found[1][resample] = neuron;
    found[2][resample] = latent - neuron;
  }
  const [latent, neuron, lead] = found.map(quantiles);
  return { latent, neuron, lead };
}

/** Pearson correlation of sums; 0 for what does not vary in a resample. */
function correlation(n: number, total: Float64Array, side: 0 | 1): number {
  const [score, scoreSquare] = total;
  const [value, square, product] = total.subarray(2 + 3 * side, 5 + 3 * side);
  const variances = (scoreSquare - score ** 2 / n) * (square - value ** 2 / n);
  return variances > 0 ? (product - (score * value) / n) / Math.sqrt(variances) : 0;
}

/** The value of a column in a row; 0 where it is not active. Columns ascend within a row. */
function valueAt({ rowPointers, latentIndices, values }: Codes, row: number, column: number): number {
  let [low, high] = [rowPointers[row], rowPointers[row + 1]];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (latentIndices[middle] < column) low = middle + 1;
    else high = middle;
  }
  return low < rowPointers[row + 1] && latentIndices[low] === column ? values[low] : 0;
}

/** The block of a token: its document, joined with others where there are many. Tokens are asked for in order. */
function blocks({ documents }: TokenSet): (token: number) => number {
  let document = 0;
  return (token) => {
    while (document + 1 < documents.length && documents[document + 1].start <= token) document++;
    return document % MAX_BLOCKS;
  };
}
