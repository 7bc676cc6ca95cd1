import type { TokenSet } from '../corpus/index.ts';
import { type ContextText, contextText, type TokenBytes } from './context-text.ts';
import { isOfScript } from './scripts.ts';

/** Tokens from which P(script | token) is counted. */
const SCRIPT_TOKENS = 2 ** 20;
/** Texts of tokens whose scripts are remembered. */
const MAX_KNOWN = 2 ** 17;

/**
 * The paper's proxy for scripts: max over strings s that end at a token of log P(script | s) / P(script). P(script | s) is 1
 * for whole characters of the script; for a token that ends within a character it is the share of its occurrences that are
 * in the script; for everything else it is next to nothing. P(script) is the share of all tokens.
 *
 * Source  Bricken et al. 2023, appendix on proxies. The paper counts on a sample; this on the first million tokens.
 */
export class ScriptScores {
  readonly #scripts: readonly string[];
  /** By script and token id: log of the share of occurrences over that of all tokens; absent where none is. */
  readonly #ofToken: readonly ReadonlyMap<number, number>[];
  /** By script: −log P(script). */
  readonly #whole: readonly number[];
  readonly #known = new Map<string, readonly number[]>();

  constructor(
    scripts: readonly string[],
    { contextSize, nContexts, tokens }: TokenSet,
    vocabulary: TokenBytes,
  ) {
    this.#scripts = scripts;
    const seen = new Float64Array(vocabulary.vocabSize);
    const inScript = scripts.map(() => new Map<number, number>());
    const totals = new Float64Array(scripts.length);
    const nSeen = scripts.length === 0 ? 0 : Math.min(nContexts, Math.ceil(SCRIPT_TOKENS / contextSize));
    for (let context = 0; context < nSeen; context++) {
      const ids = tokens.subarray(context * contextSize, (context + 1) * contextSize);
      const read = contextText(ids, vocabulary);
      ids.forEach((id, i) => {
        seen[id]++;
        for (const s of this.#scriptsAt(read, i)) {
          inScript[s].set(id, (inScript[s].get(id) ?? 0) + 1);
          totals[s]++;
        }
      });
    }
    const whole = Array.from(totals, (total) => Math.log((nSeen * contextSize) / total));
    this.#ofToken = inScript.map(
      (counts, s) => new Map([...counts].map(([id, n]) => [id, Math.log(n / seen[id]) + whole[s]])),
    );
    // Of a script that was not seen nothing can be said.
    this.#whole = whole.map((score) => (score === Infinity ? -Infinity : score));
  }

  /** Scores of the tokens of a context by a script; −∞ where nothing speaks for it. */
  of(script: string, ids: Uint32Array, context: ContextText): Float64Array {
    const s = this.#scripts.indexOf(script);
    return Float64Array.from(ids, (id, i) =>
      endsCharacter(context, i) && this.#scriptsAt(context, i).includes(s)
        ? this.#whole[s]
        : (this.#ofToken[s].get(id) ?? -Infinity),
    );
  }

  /** Scripts that all characters belong to which a token touches, spaces apart. */
  #scriptsAt({ text, starts, ends }: ContextText, token: number): readonly number[] {
    const own = text.slice(starts[token], ends[token]);
    let found = this.#known.get(own);
    if (found) return found;
    const characters = [...own.trim()];
    found = characters.length === 0 ? [] : [...this.#scripts.keys()];
    found = found.filter((s) => characters.every((character) => isOfScript(character, this.#scripts[s])));
    if (this.#known.size < MAX_KNOWN) this.#known.set(own, found);
    return found;
  }
}

/** Whether no later token holds bytes of the last character that a token touches. */
function endsCharacter({ starts, ends }: ContextText, token: number): boolean {
  return token === ends.length - 1 || starts[token + 1] >= ends[token];
}
