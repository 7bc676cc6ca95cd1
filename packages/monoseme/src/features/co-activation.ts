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

  constructor(kept: KeptCodes, contextSize: number, seed: number) {
    this.#kept = kept;
    this.#contextSize = contextSize;
    this.#dSae = kept.nFired.length;
    this.#counts = new Uint16Array(LAGS.length * this.#dSae);
    const { starts, positions } = samplePositions(kept, seed);
    this.#starts = starts;
    this.#positions = positions;
  }

  of(latent: number, n: number): CoActiveLatents {
    const [first, end] = [this.#starts[latent], this.#starts[latent + 1]];
    const nSampled = end - first;
    const touched = this.#count(latent, first, end);
    const best = new Map<number, { score: number; lag: number; share: number; pmi: number }>();
    for (const place of touched) {
      const count = this.#counts[place];
      this.#counts[place] = 0;
      if (count < FEWEST) continue;
      const other = place % this.#dSae;
      const share = count / nSampled;
      const pmi = Math.log((share * this.#kept.nTokens) / this.#kept.nFired[other]);
      const score = share * pmi;
      if (pmi > 0 && score > (best.get(other)?.score ?? 0))
        best.set(other, { score, lag: LAGS[Math.floor(place / this.#dSae)], share, pmi });
    }
    const ranked = [...best].sort(([a, x], [b, y]) => y.score - x.score || a - b).slice(0, n);
    return {
      latents: ranked.map(([other]) => other),
      lags: ranked.map(([, { lag }]) => lag),
      shares: ranked.map(([, { share }]) => share),
      pmis: ranked.map(([, { pmi }]) => pmi),
    };
  }

  /** Count what fires around the sampled firings; the places in `counts` that are not 0 any more. */
  #count(latent: number, first: number, end: number): number[] {
    const { ends, latents, nTokens } = this.#kept;
    const counts = this.#counts;
    const touched: number[] = [];
    for (let i = first; i < end; i++) {
      const position = this.#positions[i];
      const contextStart = position - (position % this.#contextSize);
      const contextEnd = Math.min(nTokens, contextStart + this.#contextSize);
      for (let l = 0; l < LAGS.length; l++) {
        const token = position + LAGS[l];
        if (token < contextStart || token >= contextEnd) continue;
        for (let pair = ends[token]; pair < ends[token + 1]; pair++) {
          if (latents[pair] === latent) continue;
          const place = l * this.#dSae + latents[pair];
          if (counts[place]++ === 0) touched.push(place);
        }
      }
    }
    return touched;
  }
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
