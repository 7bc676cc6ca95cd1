import type { TokenText } from '../corpus/index.ts';
import { MonosemeError } from '../errors.ts';
import { hashSeed, Random } from '../random/index.ts';
import { expectPositiveInteger } from '../tensor/index.ts';

/** Which tokens of a text give a row. */
export interface RowOptions {
  /** Tokens drawn from each context, without replacement (the paper: 250); all by default. */
  readonly tokensPerContext?: number;
  /** Draws them. */
  readonly seed?: number;
  /** Only tokens of these roles of a conversation give rows. Default: all tokens. */
  readonly roles?: readonly string[];
  /** Ids of tokens that give no row: separators (BOS), padding. */
  readonly dropTokens?: readonly number[];
  /**
   * Rows whose Euclidean norm exceeds this multiple of the median norm are dropped (attention sinks). The median is that
   * of some thousand rows, spread evenly over the text.
   */
  readonly maxNormRatio?: number;
}

/** What is left out because it is unlike all other rows: a dictionary that was trained without it is none for it. */
export type LeftOut = Pick<RowOptions, 'dropTokens' | 'maxNormRatio'>;

/** Of all that chooses rows; undefined where nothing is left out. */
export function leftOutOf({ dropTokens = [], maxNormRatio }: RowOptions): LeftOut | undefined {
  if (dropTokens.length === 0 && maxNormRatio === undefined) return undefined;
  return { dropTokens, ...(maxNormRatio !== undefined && { maxNormRatio }) };
}

/** The same from an artifact's JSON, `{ drop_tokens, max_norm_ratio }`; undefined for anything else. */
export function readLeftOut(json: unknown): LeftOut | undefined {
  const { drop_tokens: dropTokens = [], max_norm_ratio: ratio } = (json ?? {}) as Record<string, unknown>;
  const maxNormRatio = typeof ratio === 'number' ? ratio : undefined;
  if (!Array.isArray(dropTokens) || !dropTokens.every(Number.isSafeInteger)) return undefined;
  return leftOutOf({ dropTokens, maxNormRatio });
}

/** @throws {MonosemeError} ERR_OPTION, ERR_EMPTY_TEXT for a role that the text does not have */
export function checkRowOptions(
  { tokensPerContext, maxNormRatio, roles = [] }: RowOptions,
  { contextSize, roles: known }: TokenText,
): void {
  const missing = roles.find((role) => !known?.names.includes(role));
  if (missing !== undefined)
    throw new MonosemeError(
      'ERR_EMPTY_TEXT',
      `The text has no token of the role "${missing}"; ${known ? `its roles are ${known.names.join(', ')}` : 'it has no conversations'}.`,
      'Give conversations, or take the tokens of another role.',
    );
  expectRowNumbers({ tokensPerContext, maxNormRatio }, contextSize);
}

/** @throws {MonosemeError} ERR_OPTION for numbers that no text of this context size allows */
export function expectRowNumbers(
  { tokensPerContext: wanted, maxNormRatio }: Pick<RowOptions, 'tokensPerContext' | 'maxNormRatio'>,
  contextSize: number,
): void {
  if (wanted !== undefined) expectPositiveInteger('The number of tokens of a context', wanted);
  if (wanted !== undefined && wanted > contextSize)
    throw new MonosemeError(
      'ERR_OPTION',
      `${wanted} tokens of each context were asked for, but a context has ${contextSize}.`,
      'Take fewer, or longer contexts.',
    );
  if (maxNormRatio !== undefined && !(maxNormRatio > 1))
    throw new MonosemeError(
      'ERR_OPTION',
      `The largest norm is ${maxNormRatio} times the median; it must be more than 1.`,
      '10 is usual.',
    );
}

/** Tokens that give a row, as places in the token stream, rising; how many were dropped by their ids or roles. */
export interface SelectedTokens {
  readonly places: Uint32Array;
  readonly nDropped: number;
}

/**
 * The tokens of contexts `from` … `to − 1` whose id and role are not dropped, or a seeded draw of them. What is drawn from a
 * context depends on the seed, its number and its tokens alone.
 *
 * @param memory [(to − from) · contextSize]: filled with the places, which are then a part of it
 */
export function selectTokens(
  tokens: TokenText,
  from: number,
  to: number,
  options: RowOptions,
  memory: Uint32Array = new Uint32Array((to - from) * tokens.contextSize),
): SelectedTokens {
  const { contextSize } = tokens;
  const { tokensPerContext = contextSize, seed = 0, dropTokens = [] } = options;
  const dropped = new Set(dropTokens);
  const isWanted = roleFilter(tokens, options);
  const candidates = new Uint32Array(contextSize);
  let n = 0;
  let nDropped = 0;
  for (let context = from; context < to; context++) {
    let found = 0;
    const start = context * contextSize;
    const ids = dropped.size > 0 ? tokens.tokens.subarray(start, start + contextSize) : undefined;
    for (let place = start; place < start + contextSize; place++) {
      const isDropped = ids !== undefined && dropped.has(ids[place - start]);
      if (!isDropped && (!isWanted || isWanted[tokens.roles!.of[place]])) candidates[found++] = place;
    }
    nDropped += contextSize - found;
    const wanted = Math.min(tokensPerContext, found);
    if (wanted < found) draw_(candidates, found, wanted, hashSeed(seed, 'tokens of a context', context));
    memory.set(candidates.subarray(0, wanted), n);
    n += wanted;
  }
  return { places: memory.subarray(0, n), nDropped };
}

/** By index of a role, whether its tokens give rows; undefined where roles do not matter. */
function roleFilter({ roles }: TokenText, { roles: wanted }: RowOptions): boolean[] | undefined {
  return wanted && roles?.names.map((name) => wanted.includes(name));
}

/** Put a draw of `wanted` of the first `n` entries at the front, rising. Mutates candidates */
function draw_(candidates: Uint32Array, n: number, wanted: number, seed: number): void {
  const random = new Random(seed);
  for (let i = 0; i < wanted; i++) {
    const other = i + random.integer(n - i);
    [candidates[i], candidates[other]] = [candidates[other], candidates[i]];
  }
  candidates.subarray(0, wanted).sort();
}

/** Euclidean norms of rows [n, dIn]. */
export function rowNorms(rows: Float32Array, dIn: number): Float64Array {
  const norms = new Float64Array(rows.length / dIn);
  for (let row = 0, at = 0; row < norms.length; row++) {
    let sum = 0;
    for (const end = at + dIn; at < end; at++) sum += rows[at] * rows[at];
    norms[row] = Math.sqrt(sum);
  }
  return norms;
}

/** Rows `chosen` of [n, dIn]; `rows` itself where all are chosen. */
export function gatherRows<T extends Float32Array | Uint16Array>(
  rows: T,
  dIn: number,
  chosen: Uint32Array,
): T {
  if (chosen.length * dIn === rows.length) return rows;
  const gathered = new (rows.constructor as new (length: number) => T)(chosen.length * dIn);
  chosen.forEach((row, i) => gathered.set(rows.subarray(row * dIn, (row + 1) * dIn), i * dIn));
  return gathered;
}

/** In words, empty where every token gives a row: what sets two selections apart. */
export function selectionText(options: RowOptions): string {
  const { tokensPerContext, seed, roles, dropTokens = [], maxNormRatio } = options;
  return [
    tokensPerContext === undefined ? '' : `, ${tokensPerContext} tokens of each (seed ${seed ?? 0})`,
    roles === undefined ? '' : `, only what is said by ${roles.join(', ')}`,
    dropTokens.length === 0 ? '' : `, without the tokens ${dropTokens.join(', ')}`,
    maxNormRatio === undefined ? '' : `, without rows of ${maxNormRatio} times the median norm`,
  ].join('');
}
