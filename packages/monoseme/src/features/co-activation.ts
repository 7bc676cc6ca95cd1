import { latentHash } from './firing-hash.ts';
import type { KeptFirings } from './kept-codes.ts';

/** Distances in tokens at which another latent may fire. */
const LAGS = [-2, -1, 0, 1, 2] as const;
/** Firings of a latent that are looked at, about. */
export const CO_ACTIVATION_FIRINGS = 1024;
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

/** Another latent at a lag (its place in LAGS). */
interface Company {
  readonly other: number;
  readonly lag: number;
  readonly share: number;
  readonly score: number;
}

/**
 * Co-active latents over the kept text, from a seeded sample of each latent's firings.
 *
 * Formula  for each other latent the lag with the largest share · ln(share / density), its part of the Kullback-Leibler
 *          divergence between what fires around this latent and what fires anywhere; ranked by the same
 * Cost     5 · 1,024 · L0 counts a latent
 */
export class CoActivation {
  readonly #kept: KeptFirings;
  readonly #contextSize: number;
  readonly #dSae: number;
  /** [dSae + 1], and the positions of each latent's sample. */
  readonly #starts: Uint32Array;
  readonly #positions: Uint32Array;
  /** [lags, dSae], all 0 between two calls. */
  readonly #counts: Uint16Array;
  /** [lags, dSae]: places in `counts` that are not 0. */
  readonly #touched: Uint32Array;

  constructor(kept: KeptFirings, contextSize: number, seed: number) {
    this.#kept = kept;
    this.#contextSize = contextSize;
    this.#dSae = kept.nFired.length;
    this.#counts = new Uint16Array(LAGS.length * this.#dSae);
    this.#touched = new Uint32Array(LAGS.length * this.#dSae);
    const { starts, positions } = samplePositions(kept, seed);
    this.#starts = starts;
    this.#positions = positions;
  }

  of(latent: number, n: number): CoActiveLatents {
    const [first, end] = [this.#starts[latent], this.#starts[latent + 1]];
    const nSampled = end - first;
    const nTouched = this.#count(latent, first, end);
    const ranked = this.#ranked(nTouched, nSampled, n);
    for (let i = 0; i < nTouched; i++) this.#counts[this.#touched[i]] = 0;
    const shares = ranked.map(({ share }) => share);
    return {
      latents: ranked.map(({ other }) => other),
      lags: ranked.map(({ lag }) => LAGS[lag]),
      shares,
      pmis: ranked.map(({ score }, i) => score / shares[i]),
    };
  }

  /** Of each other latent the best lag; the `n` best of them, ties to the lower latent, then to the earlier lag. */
  #ranked(nTouched: number, nSampled: number, n: number): Company[] {
    const { nFired, nTokens } = this.#kept;
    const found: Company[] = [];
    for (let i = 0; i < nTouched; i++) {
      const place = this.#touched[i];
      const count = this.#counts[place];
      if (count < FEWEST) continue;
      const other = place % this.#dSae;
      const share = count / nSampled;
      const ratio = (share * nTokens) / nFired[other];
      const least = found.length < n ? 0 : found[n - 1].score;
      // As ln x ≤ x − 1, most need no logarithm.
      if (!(share * (ratio - 1) > least)) continue;
      const lag = (place - other) / this.#dSae;
      enter_(found, { other, lag, share, score: share * Math.log(ratio) }, n);
    }
    return found;
  }

  /** Count what fires around the sampled firings. @returns how many places in `counts` are not 0 any more */
  #count(latent: number, first: number, end: number): number {
    const { ends, latents, nTokens } = this.#kept;
    const counts = this.#counts;
    const touched = this.#touched;
    let nTouched = 0;
    for (let l = 0; l < LAGS.length; l++) {
      const base = l * this.#dSae;
      for (let i = first; i < end; i++) {
        const token = this.#positions[i] + LAGS[l];
        const contextStart = this.#positions[i] - (this.#positions[i] % this.#contextSize);
        if (token < contextStart || token >= Math.min(nTokens, contextStart + this.#contextSize)) continue;
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

/** Put one in its place, in place of what is there of the same latent. Mutates ranked */
function enter_(ranked: Company[], company: Company, n: number): void {
  const known = ranked.findIndex(({ other }) => other === company.other);
  if (known >= 0) {
    if (!isBefore(company, ranked[known])) return;
    ranked.splice(known, 1);
  }
  let place = ranked.length;
  while (place > 0 && isBefore(company, ranked[place - 1])) place--;
  ranked.splice(place, 0, company);
  if (ranked.length > n) ranked.pop();
}

function isBefore(a: Company, b: Company): boolean {
  return (
    a.score > b.score ||
    (a.score === b.score && (a.other < b.other || (a.other === b.other && a.lag < b.lag)))
  );
}

/**
 * CO_ACTIVATION_FIRINGS firings of every latent, evenly over the text; all where there are fewer. Of n firings one is taken whenever a sum
 * to which each adds CO_ACTIVATION_FIRINGS passes n; where it starts is drawn.
 */
function samplePositions({ ends, latents, nTokens, nFired }: KeptFirings, seed: number) {
  const dSae = nFired.length;
  const starts = new Uint32Array(dSae + 1);
  for (let latent = 0; latent < dSae; latent++)
    starts[latent + 1] = starts[latent] + Math.min(nFired[latent], CO_ACTIVATION_FIRINGS);
  const sums = Float64Array.from(nFired, (n, latent) => latentHash(seed, latent) % Math.max(1, n));
  const positions = new Uint32Array(starts[dSae]);
  const next = starts.slice(0, dSae);
  for (let token = 0; token < nTokens; token++) {
    for (let pair = ends[token]; pair < ends[token + 1]; pair++) {
      const latent = latents[pair];
      const step = starts[latent + 1] - starts[latent];
      sums[latent] += step;
      if (sums[latent] < nFired[latent]) continue;
      sums[latent] -= nFired[latent];
      positions[next[latent]++] = token;
    }
  }
  return { starts, positions };
}
