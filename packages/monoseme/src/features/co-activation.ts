import type { CoActivations, KernelBackend } from '../kernels/contract.ts';
import type { KeptFirings } from './kept-codes.ts';

/** Others of a latent that are kept. */
const MOST = 10;
/** Seen together fewer times than this, two latents have met by chance. */
const FEWEST = 3;
/** Firings of the latents that are asked about at once: their places take 16 MiB. */
const FIRINGS_AT_ONCE = 2 ** 22;
/** What Σ over tokens of the square of their latents may be: a fifth of the pairs to be counted. */
const MOST_PAIRS = 2 ** 32;

/** Latents that fire beside one more often than chance has it, the most telling first. */
export interface CoActiveLatents {
  readonly latents: readonly number[];
  /** Where the other fires: tokens after (negative: before) this one, −2 to 2. */
  readonly lags: readonly number[];
  /** Share of this latent's firings at which the other fires at that distance. */
  readonly shares: readonly number[];
  /** Pointwise mutual information, ln(share / density of the other), in nats. */
  readonly pmis: readonly number[];
}

/**
 * Co-active latents: every firing in the kept text is counted, up to where its tokens have 2³² pairs of latents (at 32 a
 * token four million tokens, which is more than is kept; at 256, 65 thousand).
 *
 * Formula  `KernelBackend.coActivations`
 */
export class CoActivation {
  /** Tokens that are looked at, from the start of the text: whole contexts. */
  readonly nTokens: number;
  readonly #backend: KernelBackend;
  readonly #text: {
    ends: Uint32Array;
    latents: KeptFirings['latents'];
    nFired: Uint32Array;
    contextSize: number;
  };

  constructor(backend: KernelBackend, kept: KeptFirings, contextSize: number) {
    this.#backend = backend;
    this.nTokens = countable(kept, contextSize);
    const ends = kept.ends.subarray(0, this.nTokens + 1);
    const latents = kept.latents.subarray(0, ends[this.nTokens]);
    const nFired = new Uint32Array(kept.nFired.length);
    for (let pair = 0; pair < latents.length; pair++) nFired[latents[pair]]++;
    this.#text = { ends, latents, nFired, contextSize };
  }

  /** For every latent in order: at most ten that fire beside it. The next are looked for while these are taken. */
  async *latents(): AsyncGenerator<CoActiveLatents> {
    let next = this.#ask(0);
    while (next) {
      const { first, end, found } = next;
      const company = await found;
      next = this.#ask(end);
      for (let latent = first; latent < end; latent++) yield this.#of(latent, company, latent - first);
    }
  }

  /** Ask about as many latents as there is room for, from the first on. */
  #ask(first: number): { first: number; end: number; found: Promise<CoActivations> } | undefined {
    const { nFired } = this.#text;
    let [end, nFirings] = [first, 0];
    while (end < nFired.length && (end === first || nFirings + nFired[end] <= FIRINGS_AT_ONCE))
      nFirings += nFired[end++];
    if (end === first) return undefined;
    const found = this.#backend.coActivations({ ...this.#text, first, end, most: MOST, fewest: FEWEST });
    // Its failure is met when its turn comes.
    found.catch(() => {});
    return { first, end, found };
  }

  #of(latent: number, { pointers, others, lags, counts }: CoActivations, place: number): CoActiveLatents {
    const { nFired } = this.#text;
    const [start, end] = [pointers[place], pointers[place + 1]];
    const latents = Array.from(others.subarray(start, end));
    const shares = Array.from(counts.subarray(start, end), (count) => count / nFired[latent]);
    return {
      latents,
      lags: Array.from(lags.subarray(start, end)),
      shares,
      pmis: shares.map((share, i) => Math.log((share * this.nTokens) / nFired[latents[i]])),
    };
  }
}

/** Whole contexts from the start of the text whose pairs can be counted. */
function countable({ nTokens, ends }: KeptFirings, contextSize: number): number {
  let nPairs = 0;
  for (let token = 0; token < nTokens; token++) {
    nPairs += (ends[token + 1] - ends[token]) ** 2;
    if (nPairs > MOST_PAIRS) return token - (token % contextSize);
  }
  return nTokens;
}
