import { firingHash, latentHash } from './firing-hash.ts';
import type { KeptCodes } from './kept-codes.ts';

/** Distances in tokens at which another latent may fire. */
const LAGS = [-2, -1, 0, 1, 2] as const;
/** Firings of a latent that are looked at, about. */
const SAMPLE = 256;
/** Seen together fewer times than this, two latents have met by chance. */
const FEWEST = 3;

/** Latents that fire beside one more often than chance has it, the most telling first. */
export interface CoActiveLatents {
  readonly latents: number[];
  /** Where the other fires: tokens after (negative: before) this one, −2 to 2. */
  readonly lags: number[];
  /** Share of this latent's firings at which the other fires at that distance. */
  readonly shares: number[];
  /** Pointwise mutual information, ln(share / density of the other), in nats. */
  readonly pmis: number[];
}

/**
 * Co-active latents over the kept text, from a seeded sample of each latent's firings.
 *
 * Formula  for each other latent the lag with the largest share · ln(share / density), its part of the Kullback-Leibler
 *          divergence between what fires around this latent and what fires anywhere; ranked by the same
 * Cost     5 · 256 · L0 counts a latent
 */
export class CoActivation {
  readonly #kept: KeptCodes;
  readonly #contextSize: number;
  readonly #dSae: number;
  /** [dSae + 1], and the positions of each latent's sample. */
  readonly #starts: Uint32Array;
  readonly #positions: Uint32Array;
  /** [lags, dSae], all 0 between two calls. */
  readonly #counts: Uint16Array;
  /** [lags, dSae]: places in `counts` that are not 0. */
  readonly #touched: Uint32Array;
  /** [dSae], all 0 between two calls: score of a latent at its best lag; place of that in `counts`; those that have one. */
  readonly #scores: Float64Array;
  readonly #best: Uint32Array;
  readonly #others: Uint32Array;

  constructor(kept: KeptCodes, contextSize: number, seed: number) {
    this.#kept = kept;
    this.#contextSize = contextSize;
    this.#dSae = kept.nFired.length;
    this.#counts = new Uint16Array(LAGS.length * this.#dSae);
    this.#touched = new Uint32Array(LAGS.length * this.#dSae);
    this.#scores = new Float64Array(this.#dSae);
    this.#best = new Uint32Array(this.#dSae);
    this.#others = new Uint32Array(this.#dSae);
    const { starts, positions } = samplePositions(kept, seed);
    this.#starts = starts;
    this.#positions = positions;
  }

  of(latent: number, n: number): CoActiveLatents {
    const [first, end] = [this.#starts[latent], this.#starts[latent + 1]];
    const nSampled = end - first;
    const nTouched = this.#count(latent, first, end);
    const nOthers = this.#score(nTouched, nSampled);
    const scores = this.#scores;
    const ranked = largest(this.#others.subarray(0, nOthers), scores, n);
    const places = ranked.map((other) => this.#best[other]);
    const shares = places.map((place) => this.#counts[place] / nSampled);
    const found = {
      latents: ranked,
      lags: places.map((place) => LAGS[Math.floor(place / this.#dSae)]),
      shares,
      pmis: ranked.map((other, i) => scores[other] / shares[i]),
    };
    for (let i = 0; i < nTouched; i++) this.#counts[this.#touched[i]] = 0;
    for (let i = 0; i < nOthers; i++) scores[this.#others[i]] = 0;
    return found;
  }

  /** Score each other latent at its best lag. @returns how many score above 0 */
  #score(nTouched: number, nSampled: number): number {
    const { nFired, nTokens } = this.#kept;
    const scores = this.#scores;
    let nOthers = 0;
    for (let i = 0; i < nTouched; i++) {
      const place = this.#touched[i];
      const count = this.#counts[place];
      if (count < FEWEST) continue;
      const other = place % this.#dSae;
      const share = count / nSampled;
      const score = share * Math.log((share * nTokens) / nFired[other]);
      if (!(score > scores[other])) continue;
      if (scores[other] === 0) this.#others[nOthers++] = other;
      scores[other] = score;
      this.#best[other] = place;
    }
    return nOthers;
  }

  /** Count what fires around the sampled firings. @returns how many places in `counts` are not 0 any more */
  #count(latent: number, first: number, end: number): number {
    const { ends, latents, nTokens } = this.#kept;
    const counts = this.#counts;
    const touched = this.#touched;
    let nTouched = 0;
    for (let i = first; i < end; i++) {
      const position = this.#positions[i];
      const contextStart = position - (position % this.#contextSize);
      const contextEnd = Math.min(nTokens, contextStart + this.#contextSize);
      for (let l = 0; l < LAGS.length; l++) {
        const token = position + LAGS[l];
        if (token < contextStart || token >= contextEnd) continue;
        const base = l * this.#dSae;
        const last = ends[token + 1];
        for (let pair = ends[token]; pair < last; pair++) {
          const place = base + latents[pair];
          if (counts[place]++ === 0) touched[nTouched++] = place;
        }
      }
    }
    // What a latent does beside itself is no company.
    for (let l = 0; l < LAGS.length; l++) counts[l * this.#dSae + latent] = 0;
    return nTouched;
  }
}

/** The `n` items of largest score, largest first; ties go to the lower item. */
function largest(items: Uint32Array, scores: Float64Array, n: number): number[] {
  const found: number[] = [];
  for (const item of items) {
    let place = found.length;
    const isBefore = (other: number) =>
      scores[item] > scores[other] || (scores[item] === scores[other] && item < other);
    while (place > 0 && isBefore(found[place - 1])) place--;
    if (place >= n) continue;
    found.splice(place, 0, item);
    if (found.length > n) found.pop();
  }
  return found;
}

/** About SAMPLE firings of every latent, those with the smallest hashes; all where there are fewer. */
function samplePositions({ ends, latents, nTokens, nFired }: KeptCodes, seed: number) {
  const dSae = nFired.length;
  const hashes = Uint32Array.from(nFired, (_, latent) => latentHash(seed, latent));
  const limits = Float64Array.from(nFired, (n) => (n <= SAMPLE ? Infinity : (SAMPLE / n) * 2 ** 32));
  const each = (visit: (latent: number, token: number) => void) => {
    for (let token = 0; token < nTokens; token++) {
      for (let pair = ends[token]; pair < ends[token + 1]; pair++) {
        const latent = latents[pair];
        if (firingHash(hashes[latent], token) < limits[latent]) visit(latent, token);
      }
    }
  };
  const starts = new Uint32Array(dSae + 1);
  each((latent) => starts[latent + 1]++);
  for (let latent = 0; latent < dSae; latent++) starts[latent + 1] += starts[latent];
  const positions = new Uint32Array(starts[dSae]);
  const next = starts.slice(0, dSae);
  each((latent, token) => (positions[next[latent]++] = token));
  return { starts, positions };
}
