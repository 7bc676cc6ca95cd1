import { MonosemeError } from '../../errors.ts';

/** The most features of an export: their figures are held in memory while the index is made. */
export const MAX_FEATURES = 2 ** 18;
/** Neuronpedia takes 1,024 tokens in an example; no model that it shows reads more than a million. */
const MAX_TOKENS = 2 ** 17;
/** The longest tokens of a vocabulary are lines of spaces or hyphens. */
const MAX_TOKEN_LENGTH = 4096;
/** Histograms and tables have at most a few hundred entries. */
const MAX_LIST = 2 ** 16;

/** What an export says of one feature, by the keys of `DashboardFigures`. Lists may be empty. */
export interface ReadFigures {
  readonly index: number;
  readonly fracNonzero: number;
  readonly histogram: ReadHistogram;
  readonly logitHistogram: ReadHistogram;
  readonly topLogits: readonly TokenValue[];
  readonly bottomLogits: readonly TokenValue[];
  readonly neurons: readonly number[];
  readonly neuronWeights: readonly number[];
  readonly neuronShares: readonly number[];
  /** Nearest features by decoder cosine, and their cosines. */
  readonly neighbours: readonly number[];
  readonly neighbourCosines: readonly number[];
}

/** Bins of equal width by their centres. */
export interface ReadHistogram {
  readonly centres: readonly number[];
  readonly counts: readonly number[];
}

export interface TokenValue {
  readonly token: string;
  readonly value: number;
}

export interface ReadExample {
  readonly index: number;
  readonly tokens: readonly string[];
  readonly values: readonly number[];
  /** −1 for the strongest examples, else the interval of activations. */
  readonly binMin: number;
  readonly binMax: number;
}

/** What an export holds, in whatever order its files have it. */
export type DashboardEntry = { readonly figures: ReadFigures } | { readonly example: ReadExample };

/** What an export says of itself. */
export interface DashboardHead {
  readonly format: 'saedashboard' | 'neuronpedia';
  readonly modelName: string;
  readonly hookName: string;
  readonly dataset: string;
  /** Tokens that the densities are of; 0 where the export does not say. */
  readonly nTokens: number;
}

export interface DashboardSource {
  readonly head: DashboardHead;
  entries(): AsyncIterable<DashboardEntry>;
}

type Json = Record<string, unknown>;

/** Checked reading of one JSON object of an export. */
export class EntryReader {
  readonly #row: Json;
  readonly #where: string;

  /** @param where file and place, for errors */
  constructor(row: unknown, where: string) {
    if (typeof row !== 'object' || row === null || Array.isArray(row))
      throw malformed(where, 'it is no object');
    this.#row = row as Json;
    this.#where = where;
  }

  fail(what: string): MonosemeError {
    return malformed(this.#where, what);
  }

  /** A feature's number; Neuronpedia writes it as text too. */
  index(key: string): number {
    const value = Number(this.#row[key]);
    if (Number.isSafeInteger(value) && value >= 0 && value < MAX_FEATURES) return value;
    if (Number.isSafeInteger(value) && value >= MAX_FEATURES)
      throw new MonosemeError(
        'ERR_LIMIT',
        `${this.#where} is of feature ${value}; at most ${MAX_FEATURES} are read.`,
        'Build an index from the dictionary itself: `monoseme index`.',
      );
    throw this.fail(`its ${key} is no number of a feature`);
  }

  number(key: string, otherwise = 0): number {
    const value = this.#row[key] ?? otherwise;
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    throw this.fail(`its ${key} is no number`);
  }

  text(key: string): string {
    const value = this.#row[key] ?? '';
    if (typeof value === 'string' && value.length <= MAX_TOKEN_LENGTH) return value;
    if (typeof value === 'number') return String(value);
    throw this.fail(`its ${key} is no text`);
  }

  numbers(key: string, most = MAX_LIST): number[] {
    const list = this.#list(key, most);
    if (list.every((value) => Number.isFinite(value))) return list as number[];
    throw this.fail(`its ${key} holds something else than numbers`);
  }

  texts(key: string, most = MAX_LIST): string[] {
    const list = this.#list(key, most);
    if (list.every((text) => typeof text === 'string' && text.length <= MAX_TOKEN_LENGTH))
      return list as string[];
    throw this.fail(`its ${key} holds something else than short texts`);
  }

  rows(key: string): unknown[] {
    return this.#list(key, MAX_LIST);
  }

  #list(key: string, most: number): unknown[] {
    const list = this.#row[key] ?? [];
    if (Array.isArray(list) && list.length <= most) return list as unknown[];
    throw this.fail(`its ${key} is no list of at most ${most} entries`);
  }

  /** The keys that SAEDashboard and Neuronpedia share. */
  figures(index: number, neighbours: readonly number[] = [], cosines: readonly number[] = []): ReadFigures {
    const shares = this.numbers('neuron_alignment_l1');
    const weights = this.numbers('neuron_alignment_values');
    const neurons = this.numbers('neuron_alignment_indices');
    const n = Math.min(neurons.length, weights.length, shares.length);
    return {
      index,
      fracNonzero: Math.max(0, this.number('frac_nonzero')),
      histogram: this.#histogram('freq_hist_data_bar'),
      logitHistogram: this.#histogram('logits_hist_data_bar'),
      topLogits: this.#tokenValues('pos'),
      bottomLogits: this.#tokenValues('neg'),
      neurons: neurons.slice(0, n).map((neuron) => Math.max(0, Math.trunc(neuron))),
      neuronWeights: weights.slice(0, n),
      neuronShares: shares.slice(0, n),
      neighbours,
      neighbourCosines: cosines,
    };
  }

  example(index: number, binMin: string, binMax: string): ReadExample {
    const tokens = this.texts('tokens', MAX_TOKENS);
    const values = this.numbers('values', MAX_TOKENS);
    if (tokens.length === 0 || tokens.length !== values.length)
      throw this.fail(`it has ${tokens.length} tokens and ${values.length} values`);
    return { index, tokens, values, binMin: this.number(binMin, -1), binMax: this.number(binMax, -1) };
  }

  #histogram(prefix: string): ReadHistogram {
    const [centres, counts] = [this.numbers(`${prefix}_values`), this.numbers(`${prefix}_heights`)];
    if (centres.length !== counts.length) throw this.fail(`the two lists of ${prefix} differ in length`);
    return { centres, counts };
  }

  #tokenValues(sign: 'pos' | 'neg'): TokenValue[] {
    const [tokens, values] = [this.texts(`${sign}_str`), this.numbers(`${sign}_values`)];
    return tokens.slice(0, values.length).map((token, i) => ({ token, value: values[i] }));
  }
}

function malformed(where: string, what: string): MonosemeError {
  return new MonosemeError(
    'ERR_FORMAT',
    `${where} is not what an export holds: ${what}.`,
    'Get the file again.',
  );
}
