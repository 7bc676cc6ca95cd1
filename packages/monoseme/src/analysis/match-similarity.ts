import { totalRows } from '../activations/index.ts';
import type { Codes, KernelBackend } from '../kernels/contract.ts';
import { type CodedText, codedChunks, expectAutoencoder, type Pass } from './coded-text.ts';
import { medianOf, type Universality } from './universality.ts';

/** Matched latents that are compared, evenly over all, and tokens over which attributions are, about. */
const COMPARED = 4096;
const ATTRIBUTED_TOKENS = 2 ** 17;

/** How alike a latent and its match are in what they do, beside when they are active. */
export interface PairSimilarity {
  readonly latent: number;
  readonly match: number;
  /** Pearson correlations: of the activations, as the match was found; over the vocabulary; over tokens. */
  readonly activations: number;
  readonly logitWeights: number;
  /** Undefined where one of the two has no variance on these tokens. */
  readonly attributions: number | undefined;
}

export interface MatchSimilarity {
  /** Tokens over which attributions are compared. */
  readonly nTokens: number;
  /** Tokens of the vocabulary over which logit weights are: those that the text holds. */
  readonly nVocabulary: number;
  /** By latent of the first dictionary. */
  readonly pairs: readonly PairSimilarity[];
  readonly medians: Readonly<Record<'logitWeights' | 'attributions', number | undefined>>;
  /** Over the pairs: Pearson correlation of either with the correlation of activations. */
  readonly withActivations: Readonly<Record<'logitWeights' | 'attributions', number | undefined>>;
}

/**
 * Whether latents that are active together also do the same.
 *
 * Formula  logit weights v = Jᵀ W_dec[j] about their median, over the tokens of the vocabulary that occur in the text;
 *          attribution of a latent at token t: f(t) · v[token t + 1], 0 at the last token of a context, on some 131,000
 *          tokens spread over the text
 * Source   Bricken et al. 2023, universality: interference makes logit weights of matched features differ, attributions
 *          follow activations
 * @param jacobians [dIn, vocab] of each model: mean derivative of the logits by the activations
 * @param tokens ids over which the texts run
 * @throws {MonosemeError} ERR_OPTION for transcoders and crosscoders; ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function matchSimilarity(
  texts: readonly [CodedText, CodedText],
  tokens: Uint32Array,
  jacobians: readonly [Float32Array, Float32Array],
  { matches }: Universality,
  pass: Pass,
): Promise<MatchSimilarity> {
  texts.forEach(({ dictionary }) => expectAutoencoder(dictionary));
  const known = matches.filter(({ match }) => match !== undefined);
  const count = Math.min(known.length, COMPARED);
  const pairs = Array.from({ length: count }, (_, i) => known[Math.floor((i * known.length) / count)]);
  const matched = [pairs.map(({ latent }) => latent), [...new Set(pairs.map(({ match }) => match!))]];
  const occurring = [...new Set(tokens)].sort((a, b) => a - b);
  const weights = await Promise.all(
    texts.map((text, i) => LogitWeights.of(text, matched[i], jacobians[i], occurring, pass.backend)),
  );
  const sums = new AttributionSums(
    weights,
    pairs.map(({ latent, match }) => [latent, match!]),
  );
  const { source } = texts[0];
  const every = Math.max(1, Math.floor(totalRows(source) / ATTRIBUTED_TOKENS));
  const quiet = { backend: pass.backend, signal: pass.signal };
  for await (const { codes, firstToken } of codedChunks(texts, quiet, every))
    sums.add(codes, tokens.subarray(firstToken), source.contextSize);
  const similar = pairs.map(({ latent, match, correlation }, i): PairSimilarity => {
    const [ofA, ofB] = [weights[0].of(latent), weights[1].of(match!)];
    const attributions = sums.correlation(i);
    return {
      ...{ latent, match: match!, activations: correlation! },
      ...{ logitWeights: pearson(ofA, ofB) ?? 0, attributions },
    };
  });
  const medianBy = (key: 'logitWeights' | 'attributions') =>
    medianOf(similar.flatMap((pair) => pair[key] ?? []));
  const agreement = (key: 'logitWeights' | 'attributions') => {
    const both = similar.filter((pair) => pair[key] !== undefined);
    return pearson(
      both.map((pair) => pair.activations),
      both.map((pair) => pair[key]!),
    );
  };
  return {
    ...{ nTokens: sums.nTokens, nVocabulary: occurring.length, pairs: similar },
    medians: { logitWeights: medianBy('logitWeights'), attributions: medianBy('attributions') },
    withActivations: { logitWeights: agreement('logitWeights'), attributions: agreement('attributions') },
  };
}

/** Logit weights of some latents, about their medians, over some of the vocabulary. */
class LogitWeights {
  readonly #rowOf: ReadonlyMap<number, number>;
  readonly #columnOf: ReadonlyMap<number, number>;
  /** [latents, tokens] */
  readonly #weights: Float32Array;

  private constructor(latents: readonly number[], tokens: readonly number[], weights: Float32Array) {
    this.#rowOf = new Map(latents.map((latent, row) => [latent, row]));
    this.#columnOf = new Map(tokens.map((token, column) => [token, column]));
    this.#weights = weights;
    for (const latent of latents) {
      const row = this.of(latent);
      const median = row.toSorted()[row.length >> 1];
      row.forEach((weight, i) => (row[i] = weight - median));
    }
  }

  static async of(
    { dictionary }: CodedText,
    latents: readonly number[],
    jacobian: Float32Array,
    tokens: readonly number[],
    backend: KernelBackend,
  ): Promise<LogitWeights> {
    const { dIn } = dictionary.config;
    const vocabSize = jacobian.length / dIn;
    const columns = new Float32Array(dIn * tokens.length);
    for (let i = 0; i < dIn; i++)
      tokens.forEach((token, t) => (columns[i * tokens.length + t] = jacobian[i * vocabSize + token]));
    const directions = new Float32Array(latents.length * dIn);
    latents.forEach((latent, row) =>
      directions.set(dictionary.weights.W_dec.subarray(latent * dIn, (latent + 1) * dIn), row * dIn),
    );
    const [nRows, width] = [latents.length, tokens.length];
    const weights = await backend.product({ a: directions, b: columns, nRows, inner: dIn, width });
    return new LogitWeights(latents, tokens, weights);
  }

  /** [tokens] of one of the latents. */
  of(latent: number): Float32Array {
    const n = this.#columnOf.size;
    const row = this.#rowOf.get(latent)!;
    return this.#weights.subarray(row * n, (row + 1) * n);
  }

  has(latent: number): boolean {
    return this.#rowOf.has(latent);
  }

  at(latent: number, token: number): number {
    return this.of(latent)[this.#columnOf.get(token)!];
  }
}

/** Streaming sums of the attributions of pairs of latents. */
class AttributionSums {
  nTokens = 0;
  readonly #weights: readonly LogitWeights[];
  readonly #pairs: readonly (readonly [a: number, b: number])[];
  /** By latent of a: its pair. */
  readonly #pairOf: ReadonlyMap<number, number>;
  /** By latent: Σ and Σ of squares. */
  readonly #margins = [new Map<number, [number, number]>(), new Map<number, [number, number]>()];
  readonly #products: Float64Array;

  constructor(weights: readonly LogitWeights[], pairs: readonly (readonly [number, number])[]) {
    this.#weights = weights;
    this.#pairs = pairs;
    this.#pairOf = new Map(pairs.map(([a], pair) => [a, pair]));
    this.#products = new Float64Array(pairs.length);
  }

  /** @param tokens ids from the first row of the codes on */
  add(codes: readonly Codes[], tokens: Uint32Array, contextSize: number): void {
    const [{ nRows }] = codes;
    this.nTokens += nRows;
    for (let row = 0; row < nRows; row++) {
      if (row % contextSize === contextSize - 1) continue;
      const [ofA, ofB] = codes.map((side, i) => this.#attributions(i, side, row, tokens[row + 1]));
      for (const [latent, value] of ofA) {
        const pair = this.#pairOf.get(latent)!;
        this.#products[pair] += value * (ofB.get(this.#pairs[pair][1]) ?? 0);
      }
    }
  }

  #attributions(side: number, codes: Codes, row: number, next: number): Map<number, number> {
    const found = new Map<number, number>();
    const margins = this.#margins[side];
    for (let i = codes.rowPointers[row]; i < codes.rowPointers[row + 1]; i++) {
      const latent = codes.latentIndices[i];
      if (!this.#weights[side].has(latent)) continue;
      const value = codes.values[i] * this.#weights[side].at(latent, next);
      const margin = margins.get(latent) ?? [0, 0];
      margin[0] += value;
      margin[1] += value * value;
      margins.set(latent, margin);
      found.set(latent, value);
    }
    return found;
  }

  correlation(pair: number): number | undefined {
    const n = this.nTokens;
    const [[sumA, squareA], [sumB, squareB]] = this.#pairs[pair].map(
      (latent, side) => this.#margins[side].get(latent) ?? [0, 0],
    );
    const [varianceA, varianceB] = [squareA - sumA ** 2 / n, squareB - sumB ** 2 / n];
    if (!(varianceA > 0 && varianceB > 0)) return undefined;
    return (this.#products[pair] - (sumA * sumB) / n) / Math.sqrt(varianceA * varianceB);
  }
}

/** Undefined where one of the two does not vary. */
function pearson(a: ArrayLike<number>, b: ArrayLike<number>): number | undefined {
  const n = a.length;
  let [sumA, sumB, squareA, squareB, product] = [0, 0, 0, 0, 0];
  for (let i = 0; i < n; i++) {
    sumA += a[i];
    sumB += b[i];
    squareA += a[i] * a[i];
    squareB += b[i] * b[i];
    product += a[i] * b[i];
  }
  const [varianceA, varianceB] = [squareA - sumA ** 2 / n, squareB - sumB ** 2 / n];
  if (!(varianceA > 0 && varianceB > 0)) return undefined;
  return (product - (sumA * sumB) / n) / Math.sqrt(varianceA * varianceB);
}
