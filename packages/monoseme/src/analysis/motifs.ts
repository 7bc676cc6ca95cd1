import type { TokenSet } from '../corpus/index.ts';
import type { Codes } from '../kernels/contract.ts';
import { type Share, shareOf } from '../evaluation/index.ts';
import { type CodedText, codedChunks, type Pass } from './coded-text.ts';
import { PairSummer } from './pair-summer.ts';
import { MIN_FIRED } from './universality.ts';

/** Share of a latent's activation on one token from which it counts as a latent of that token. */
const SINGLE = 0.9;
/** Share of a token's occurrences from which a latent counts as firing on the token wherever it stands. */
const EVERYWHERE = 0.5;
/** Share of the firings behind one same token from which a latent is trigram-like, and how many times the usual share. */
const PRECEDED = 0.8;
const PRECEDED_LIFT = 2;
/** Tokens after a firing that are looked at, and the share of them that makes a context latent. */
const WINDOW = 8;
const FOLLOWED = 0.3;

/**
 * What a latent fires on (Bricken et al. 2023, feature motifs). The first that fits, in this order:
 *
 * - `rare`: active on fewer than 20 tokens
 * - `trigram`: 90 % of its activation on one token, and 80 % of that behind one same token, twice as often as usual there
 * - `single-token`: 90 % of its activation on one token, on at least half of whose occurrences it fires
 * - `token-in-context`: 90 % of its activation on one token, on fewer of its occurrences
 * - `context`: of the 8 tokens after a firing it is active on 30 % on average
 * - `several-tokens`: everything else
 */
export type Motif = 'rare' | 'trigram' | 'single-token' | 'token-in-context' | 'context' | 'several-tokens';
export const MOTIFS: readonly Motif[] = [
  ...(['context', 'token-in-context', 'single-token', 'trigram', 'several-tokens', 'rare'] as const),
];
/** Those of latents that fire often enough to be sorted. */
export const SORTED_MOTIFS = MOTIFS.filter((motif) => motif !== 'rare');

export interface LatentMotif {
  readonly motif: Motif;
  readonly nFired: number;
  /** The token with most of its activation, and the share on it; undefined for a latent that never fires. */
  readonly token: number | undefined;
  readonly tokenShare: number | undefined;
  /** Share of that token's occurrences on which it fires. */
  readonly recall: number | undefined;
  /** The token most often before its firings on that token, and the share; undefined without one. */
  readonly before: number | undefined;
  readonly beforeShare: number | undefined;
  /** Share of the 8 tokens after a firing (in the same context) on which it is active too. */
  readonly followed: number | undefined;
}

export interface Motifs {
  readonly nTokens: number;
  /** [dSae] */
  readonly latents: readonly LatentMotif[];
  readonly counts: Readonly<Record<Motif, number>>;
}

/** Shares of the motifs among the latents that are not rare, with their intervals over latents; undefined when all are. */
export function motifShares({ latents, counts }: Motifs): ReadonlyMap<Motif, Share> | undefined {
  const n = latents.length - counts.rare;
  if (n === 0) return undefined;
  return new Map(SORTED_MOTIFS.map((motif) => [motif, shareOf(counts[motif], n)]));
}

/**
 * Sort the latents of a dictionary by what they fire on, in two passes: tokens and windows, then what stands before the
 * tokens of single-token latents.
 *
 * Memory  sums of every latent with the tokens it fires on ({@link PairSummer})
 * Deviation  the paper finds motifs by reading; the bounds here are ours
 * @throws {MonosemeError} ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function motifs(
  text: CodedText,
  { tokens }: TokenSet,
  vocabSize: number,
  pass: Pass,
): Promise<Motifs> {
  const { dSae } = text.dictionary.config;
  const { contextSize } = text.source;
  const summer = new PairSummer(pass.backend, dSae, vocabSize, { masked: false });
  const follow = new Following(dSae, contextSize);
  for await (const { codes, firstToken } of codedChunks([text], pass)) {
    const [chunk] = codes;
    await summer.add(chunk, oneHot(tokens, firstToken, chunk.nRows, vocabSize));
    follow.add(chunk);
  }
  const sums = await summer.finish();
  const best = sums.best(({ product }) => product);
  const tokenOf = Int32Array.from(best, (pair, latent) =>
    pair && pair.product >= SINGLE * sums.a.sums[latent] ? pair.b : -1,
  );
  const before = await precedingTokens(text, tokens, tokenOf, pass);
  const latents = best.map((pair, latent): LatentMotif => {
    const nFired = sums.a.fired[latent];
    if (pair === undefined) {
      const nothing = { token: undefined, tokenShare: undefined, recall: undefined, followed: undefined };
      return { motif: 'rare', nFired, ...nothing, before: undefined, beforeShare: undefined };
    }
    const found = {
      nFired,
      token: pair.b,
      tokenShare: pair.product / sums.a.sums[latent],
      recall: pair.together / sums.b.fired[pair.b],
      before: before[latent]?.token,
      beforeShare: before[latent]?.share,
      followed: follow.share(latent),
    };
    return { motif: motifOf(found, before[latent]?.usualShare), ...found };
  });
  const counts = Object.fromEntries(MOTIFS.map((name) => [name, 0])) as Record<Motif, number>;
  for (const { motif } of latents) counts[motif]++;
  return { nTokens: sums.nTokens, latents, counts };
}

function motifOf(
  { nFired, tokenShare, recall, beforeShare, followed }: Omit<LatentMotif, 'motif'>,
  usualShare: number | undefined,
): Motif {
  if (nFired < MIN_FIRED) return 'rare';
  if (tokenShare! >= SINGLE) {
    if (beforeShare !== undefined && beforeShare >= PRECEDED && beforeShare >= PRECEDED_LIFT * usualShare!)
      return 'trigram';
    return recall! >= EVERYWHERE ? 'single-token' : 'token-in-context';
  }
  return followed !== undefined && followed >= FOLLOWED ? 'context' : 'several-tokens';
}

/** Every token as the one column that is 1. */
function oneHot(tokens: Uint32Array, first: number, nRows: number, vocabSize: number): Codes {
  return {
    nRows,
    dSae: vocabSize,
    rowPointers: Uint32Array.from({ length: nRows + 1 }, (_, row) => row),
    latentIndices: tokens.subarray(first, first + nRows),
    values: new Float32Array(nRows).fill(1),
  };
}

/** Counts firings within {@link WINDOW} tokens after each firing. */
class Following {
  readonly #contextSize: number;
  readonly #seen: Float64Array;
  readonly #places: Float64Array;
  /** Rows of the last firings of each latent, a ring of WINDOW. */
  readonly #rows: Float64Array;
  readonly #next: Uint8Array;
  #row = 0;

  constructor(dSae: number, contextSize: number) {
    this.#contextSize = contextSize;
    this.#seen = new Float64Array(dSae);
    this.#places = new Float64Array(dSae);
    this.#rows = new Float64Array(dSae * WINDOW).fill(-Infinity);
    this.#next = new Uint8Array(dSae);
  }

  /** Whole contexts, in order. */
  add({ nRows, rowPointers, latentIndices }: Codes): void {
    for (let row = 0; row < nRows; row++, this.#row++) {
      const position = this.#row % this.#contextSize;
      const start = this.#row - position;
      const left = Math.min(WINDOW, this.#contextSize - 1 - position);
      for (let i = rowPointers[row]; i < rowPointers[row + 1]; i++) {
        const latent = latentIndices[i];
        const ring = latent * WINDOW;
        for (let k = ring; k < ring + WINDOW; k++)
          if (this.#rows[k] >= start && this.#row - this.#rows[k] <= WINDOW) this.#seen[latent]++;
        this.#places[latent] += left;
        this.#rows[ring + this.#next[latent]] = this.#row;
        this.#next[latent] = (this.#next[latent] + 1) % WINDOW;
      }
    }
  }

  share(latent: number): number | undefined {
    return this.#places[latent] > 0 ? this.#seen[latent] / this.#places[latent] : undefined;
  }
}

interface Preceding {
  readonly token: number;
  /** Among the latent's firings on its token that have a token before them. */
  readonly share: number;
  /** The same among all occurrences of its token. */
  readonly usualShare: number;
}

/** What stands most often before the firings of latents on their token. */
async function precedingTokens(
  text: CodedText,
  tokens: Uint32Array,
  tokenOf: Int32Array,
  pass: Pass,
): Promise<(Preceding | undefined)[]> {
  const { contextSize } = text.source;
  const wanted = new Set(tokenOf);
  const usual = new Map<number, Map<number, number>>();
  const own = new Map<number, Map<number, number>>();
  for await (const { codes, firstToken } of codedChunks([text], pass)) {
    const [{ nRows, rowPointers, latentIndices }] = codes;
    for (let row = 0; row < nRows; row++) {
      const place = firstToken + row;
      const token = tokens[place];
      if (place % contextSize === 0 || !wanted.has(token)) continue;
      count(usual, token, tokens[place - 1]);
      for (let i = rowPointers[row]; i < rowPointers[row + 1]; i++)
        if (tokenOf[latentIndices[i]] === token) count(own, latentIndices[i], tokens[place - 1]);
    }
  }
  return Array.from(tokenOf, (token, latent) => {
    const counts = own.get(latent);
    if (counts === undefined) return undefined;
    const [before, n] = [...counts].reduce((best, next) => (next[1] > best[1] ? next : best));
    const all = usual.get(token)!;
    return { token: before, share: n / total(counts), usualShare: (all.get(before) ?? 0) / total(all) };
  });
}

function count(table: Map<number, Map<number, number>>, row: number, column: number): void {
  let counts = table.get(row);
  if (counts === undefined) table.set(row, (counts = new Map()));
  counts.set(column, (counts.get(column) ?? 0) + 1);
}

function total(counts: ReadonlyMap<number, number>): number {
  let sum = 0;
  for (const n of counts.values()) sum += n;
  return sum;
}
