import { tokenPieces, type TokenSequence } from '../corpus/index.ts';
import type { Example } from './choose-examples.ts';
import type { KeptCodes } from './kept-codes.ts';
import type { TokenMassEntry } from './token-mass.ts';

/** Heaviest tokens of a latent on which it is looked for silent, and occurrences of each that are compared. */
const TOKENS = 3;
const OCCURRENCES = 500;
/** Top examples that an occurrence is compared with. */
const COMPARED = 6;
/** Tokens before and behind the peak that make two texts similar, and how much each counts. */
const OFFSETS = Int32Array.of(-1, -2, 1, -3, -4, 2);
const WEIGHTS = Int32Array.of(4, 3, 2, 2, 1, 1);
const MOST_AGREEMENT = WEIGHTS.reduce((sum, weight) => sum + weight, 0);
/** Of each set of those offsets, as bits: the sum of their weights. */
const AGREEMENTS = Uint8Array.from({ length: 2 ** OFFSETS.length }, (_, set) =>
  WEIGHTS.reduce((sum, weight, k) => sum + ((set >>> k) & 1) * weight, 0),
);

/** Which examples have the token at each offset of a place that is looked at. */
const sharing = new Uint8Array(OFFSETS.length);

/**
 * Text that looks like a latent's examples and on which it stays silent: occurrences of its heaviest tokens, those
 * first whose surroundings agree most with one of its top examples. It fires nowhere within the window that is shown.
 */
export class NearMisses {
  readonly #text: TokenSequence;
  /** The kept tokens, and behind them those that an offset reaches. */
  readonly #tokens: Uint32Array;
  readonly #kept: KeptCodes;
  readonly #contextSize: number;
  readonly #radius: number;
  /** [vocab + 1], and the kept positions by token. */
  readonly #starts: Uint32Array;
  readonly #positions: Uint32Array;
  /** [OFFSETS, vocab], all 0 between two latents: which of its examples, as bits, have a token at an offset. */
  readonly #having: Uint8Array;
  readonly #vocabSize: number;
  /** Occurrences of one latent's tokens, by agreement with its examples. */
  readonly #byAgreement: number[][] = Array.from({ length: MOST_AGREEMENT + 1 }, () => []);

  constructor(text: TokenSequence, kept: KeptCodes, contextSize: number, radius: number) {
    this.#text = text;
    const tokens = text.subarray(0, Math.min(text.length, kept.nTokens + Math.max(...OFFSETS)));
    this.#tokens = tokens;
    this.#kept = kept;
    this.#contextSize = contextSize;
    this.#radius = radius;
    let vocabSize = 0;
    for (const ids of tokenPieces(text))
      for (let i = 0; i < ids.length; i++) if (ids[i] >= vocabSize) vocabSize = ids[i] + 1;
    this.#vocabSize = vocabSize;
    this.#having = new Uint8Array(OFFSETS.length * vocabSize);
    this.#starts = new Uint32Array(vocabSize + 1);
    for (let i = 0; i < kept.nTokens; i++) this.#starts[tokens[i] + 1]++;
    for (let id = 0; id < vocabSize; id++) this.#starts[id + 1] += this.#starts[id];
    this.#positions = new Uint32Array(kept.nTokens);
    const next = this.#starts.slice(0, vocabSize);
    for (let i = 0; i < kept.nTokens; i++) this.#positions[next[tokens[i]]++] = i;
  }

  /** At most `n`, the most similar first; at most one a context. */
  of(latent: number, mass: readonly TokenMassEntry[], examples: readonly Example[], n: number): Example[] {
    if (n === 0) return [];
    const peaks = examples.filter(({ group }) => group === 'top').slice(0, COMPARED);
    for (const positions of this.#byAgreement) positions.length = 0;
    const places = peaks.map(({ position }) => this.#around(position));
    places.forEach((around, example) => around.forEach((place) => (this.#having[place] |= 1 << example)));
    for (const { token } of mass.slice(0, TOKENS)) this.#compare(token);
    for (const around of places) for (const place of around) this.#having[place] = 0;
    const contexts = new Set<number>();
    const found: Example[] = [];
    for (let agreement = MOST_AGREEMENT; agreement >= 0; agreement--) {
      for (const position of this.#byAgreement[agreement].sort((a, b) => a - b)) {
        const context = Math.floor(position / this.#contextSize);
        if (contexts.has(context) || !this.#isSilent(latent, position)) continue;
        contexts.add(context);
        found.push({
          position,
          activation: 0,
          near: { offsets: [], activations: [] },
          group: 'near_miss',
          rank: found.length,
          interval: 0,
          repeats: false,
        });
        if (found.length === n) return found;
      }
    }
    return found;
  }

  /** Where in `having` the tokens around a place stand, without those beyond the ends of the text. */
  #around(position: number): number[] {
    const first = Math.max(0, position + Math.min(...OFFSETS));
    const tokens = this.#text.subarray(first, position + Math.max(...OFFSETS) + 1);
    return Array.from(OFFSETS, (offset, k) => k * this.#vocabSize + tokens[position + offset - first]).filter(
      (place) => place < this.#having.length,
    );
  }

  /** Sort occurrences of a token by how much their text agrees with the example most like them. */
  #compare(token: number): void {
    const [first, end] = [this.#starts[token] ?? 0, this.#starts[token + 1] ?? 0];
    const step = Math.max(1, Math.floor((end - first) / OCCURRENCES));
    for (let i = first; i < end; i += step)
      this.#byAgreement[this.#agreement(this.#positions[i])].push(this.#positions[i]);
  }

  #agreement(position: number): number {
    const tokens = this.#tokens;
    const having = this.#having;
    let examples = 0;
    for (let k = 0, base = 0; k < OFFSETS.length; k++, base += this.#vocabSize) {
      const bits = having[base + tokens[position + OFFSETS[k]]];
      sharing[k] = bits;
      examples |= bits;
    }
    let most = 0;
    for (; examples !== 0; examples &= examples - 1) {
      const example = 31 - Math.clz32(examples & -examples);
      let offsets = 0;
      for (let k = 0; k < OFFSETS.length; k++) offsets |= ((sharing[k] >>> example) & 1) << k;
      most = Math.max(most, AGREEMENTS[offsets]);
    }
    return most;
  }

  #isSilent(latent: number, position: number): boolean {
    const contextStart = position - (position % this.#contextSize);
    const first = Math.max(contextStart, position - this.#radius);
    const last = Math.min(contextStart + this.#contextSize - 1, position + this.#radius);
    for (let token = first; token <= last; token++) if (this.#kept.fires(latent, token)) return false;
    return true;
  }
}
