import { MonosemeError } from '../errors.ts';
import { encodeFloats } from '../tensor/index.ts';
import { type DeclaredInput, ELEMENT } from './onnx-graph.ts';

/** What an input of a model means to us. */
type Role = TokenRole | 'samples' | 'constant';
type TokenRole = 'input_ids' | 'attention_mask' | 'position_ids' | 'token_type_ids' | 'past';

export interface ModelInput extends DeclaredInput {
  role: Role;
  /** Sizes of one sample, of a role `samples`. */
  sizes: readonly number[];
  /** Every element, of a role `constant`. */
  value: number;
}

/**
 * What somebody says of a model's inputs, by name: a number is every element; sizes are those of one sample, whose
 * values are given when the model runs.
 */
export type GivenInputs = Readonly<Record<string, number | readonly number[]>>;

const WHOLE = [ELEMENT.int64, ELEMENT.int32] as const;
const ALLOWED: Record<TokenRole, readonly number[]> = {
  input_ids: WHOLE,
  attention_mask: [...WHOLE, ELEMENT.float, ELEMENT.bool],
  position_ids: WHOLE,
  token_type_ids: WHOLE,
  past: [ELEMENT.float, ELEMENT.float16],
};
/** Element types of samples and constants. */
const FED: readonly number[] = [...WHOLE, ELEMENT.float, ELEMENT.float16, ELEMENT.bool];

/**
 * Give every input of a model its meaning. Those of a language model have it by their names, as Optimum and PyTorch's
 * users name them: token ids, an attention mask (all ones), positions (0, 1, 2, …), token types (0), and caches of past
 * keys and values (empty). A model without token ids reads samples: arrays whose first axis is the batch, of sizes that
 * the graph declares or `given` says. All else must be given.
 *
 * @throws {MonosemeError} ERR_MODEL naming an input that is not understood, or has a type, rank or size that does not
 * fit; ERR_OPTION for an input given that the model does not have
 */
export function understandInputs(inputs: readonly DeclaredInput[], given: GivenInputs = {}): ModelInput[] {
  const strange = Object.keys(given).find((name) => !inputs.some((input) => input.name === name));
  if (strange !== undefined)
    throw new MonosemeError(
      'ERR_OPTION',
      `The model has no input "${strange.slice(0, 80)}".`,
      `It has ${inputs.map(({ name }) => name).join(', ')}.`,
    );
  const readsTokens = inputs.some(({ name }) => name === 'input_ids' && given[name] === undefined);
  const understood = inputs.map((input) => understand(input, given[input.name], readsTokens));
  if (understood.some(({ role }) => role === 'input_ids' || role === 'samples')) return understood;
  throw new MonosemeError(
    'ERR_MODEL',
    'The model has no input that differs from sample to sample.',
    'Give one of its inputs as a file: --input NAME=FILE.',
  );
}

function understand(
  input: DeclaredInput,
  given: number | readonly number[] | undefined,
  readsTokens: boolean,
): ModelInput {
  const as = (role: Role, sizes: readonly number[] = [], value = 0) => ({ ...input, role, sizes, value });
  const isFed = FED.includes(input.elementType);
  if (typeof given === 'number' && isFed && Number.isFinite(given)) return as('constant', [], given);
  if (typeof given === 'object' && isFed && fits(input.dims, given) && !readsTokens)
    return as('samples', given);
  if (given !== undefined) throw notUnderstood(input, `cannot be given as ${shown(given)}`, readsTokens);
  if (readsTokens) {
    const role = roleOf(input.name);
    const rankFits = role === 'past' ? input.dims.length >= 3 : input.dims.length === 2;
    if (role !== undefined && ALLOWED[role].includes(input.elementType) && rankFits) return as(role);
    if (role === 'input_ids' && !rankFits)
      throw new MonosemeError(
        'ERR_MODEL',
        `The model has no sequence axis: its input_ids are [${input.dims.map((size) => size ?? '?').join(', ')}], not [batch, sequence].`,
        'Export it again so that it reads whole contexts.',
      );
    throw notUnderstood(input, 'is not understood', readsTokens);
  }
  const sizes = input.dims.slice(1);
  if (isFed && input.dims.length >= 2 && sizes.every((size) => size !== undefined))
    return as('samples', sizes as number[]);
  throw notUnderstood(input, 'has no known sizes', readsTokens);
}

/** Whether samples of some sizes may stand where the graph declares `dims`, behind the axis of the batch. */
function fits(dims: DeclaredInput['dims'], sizes: readonly number[]): boolean {
  return dims.length === sizes.length + 1 && sizes.every((size, i) => size === (dims[i + 1] ?? size));
}

const shown = (given: number | readonly number[]) =>
  typeof given === 'number' ? `the number ${given}` : `samples [${given.join(', ')}]`;

function notUnderstood(input: DeclaredInput, what: string, readsTokens: boolean): MonosemeError {
  const { name, elementType, dims } = input;
  const type = Object.entries(ELEMENT).find(([, element]) => element === elementType)?.[0] ?? 'other';
  const declared = `${type} [${dims.map((size) => size ?? '?').join(', ')}]`;
  const file = readsTokens ? '' : `--input ${name}=FILE with an array [samples, …], or `;
  return new MonosemeError(
    'ERR_MODEL',
    `The model has the input "${name}" (${declared}), which ${what}.`,
    `Give ${file}--input ${name}=NUMBER for the same number everywhere.`,
  );
}

function roleOf(name: string): TokenRole | undefined {
  if (/^(past_key_values|past)([._\d]|$)/.test(name)) return 'past';
  return Object.hasOwn(ALLOWED, name) && name !== 'past' ? (name as TokenRole) : undefined;
}

/** Whether a model reads tokens; else it reads arrays. */
export const readsTokens = (inputs: readonly ModelInput[]): boolean =>
  inputs.some(({ role }) => role === 'input_ids');

/** Sizes of batch and sequence that the graph fixes; undefined where it takes any. Arrays have no sequence. */
export function fixedSizes(inputs: readonly ModelInput[]): { batch?: number; sequence?: number } {
  const [batch, sequence] = inputs.find(({ role }) => role === 'input_ids' || role === 'samples')!.dims;
  return readsTokens(inputs) ? { batch, sequence } : { batch };
}

/** A tensor to feed: what ONNX Runtime's Tensor takes. */
export interface Feed {
  type: 'int64' | 'int32' | 'float32' | 'float16' | 'bool';
  data: BigInt64Array | Int32Array | Float32Array | Uint16Array | Uint8Array;
  dims: number[];
}

/**
 * Values of the inputs of a model that reads tokens, for tokens [batch, sequence], by name.
 *
 * @param past tokens of each context that were read before, whose keys and values are given by others
 */
export function makeFeeds(
  inputs: readonly ModelInput[],
  tokens: Uint32Array,
  sequence: number,
  past = 0,
): Record<string, Feed> {
  const batch = tokens.length / sequence;
  const feeds: Record<string, Feed> = {};
  for (const input of inputs) {
    if (input.role === 'past') {
      if (past > 0) continue;
      const dims = input.dims.map((size, axis) => (axis === 0 ? batch : (size ?? 0)));
      feeds[input.name] = makeFeed(input.elementType, dims, () => 0);
    } else if (input.role === 'constant') {
      const dims = input.dims.map((size, axis) => size ?? [batch, sequence][axis] ?? 1);
      feeds[input.name] = makeFeed(input.elementType, dims, () => input.value);
    } else if (input.role === 'attention_mask') {
      feeds[input.name] = makeFeed(input.elementType, [batch, past + sequence], () => 1);
    } else {
      feeds[input.name] = makeFeed(input.elementType, [batch, sequence], (i) => {
        if (input.role === 'input_ids') return tokens[i];
        return input.role === 'position_ids' ? past + (i % sequence) : 0;
      });
    }
  }
  return feeds;
}

/**
 * Values of the inputs of a model that reads arrays. Free axes of constants are as long as those of the same name of the
 * samples, else 1.
 *
 * @param samples values of each input of the role `samples`, [batch, …sizes]; zeros where none are given
 */
export function makeArrayFeeds(
  inputs: readonly ModelInput[],
  batch: number,
  samples: Readonly<Record<string, ArrayLike<number>>> = {},
): Record<string, Feed> {
  const named = new Map<string, number>();
  for (const { role, sizes, axisNames } of inputs)
    if (role === 'samples') axisNames.slice(1).forEach((axis, i) => axis && named.set(axis, sizes[i]));
  const feeds: Record<string, Feed> = {};
  for (const { name, role, elementType, dims, axisNames, sizes, value } of inputs) {
    const values = samples[name];
    if (role === 'samples') feeds[name] = makeFeed(elementType, [batch, ...sizes], (i) => values?.[i] ?? 0);
    else {
      const free = (axis: number) => (axis === 0 ? batch : (named.get(axisNames[axis] ?? '') ?? 1));
      feeds[name] = makeFeed(
        elementType,
        dims.map((size, axis) => size ?? free(axis)),
        () => value,
      );
    }
  }
  return feeds;
}

function makeFeed(elementType: number, dims: number[], value: (i: number) => number): Feed {
  const n = dims.reduce((product, size) => product * size, 1);
  const fill = <T extends { [i: number]: number }>(data: T): T => {
    for (let i = 0; i < n; i++) data[i] = value(i);
    return data;
  };
  if (elementType === ELEMENT.int64) {
    // Low and high words: a BigInt for each would take longer than a small model does.
    const words = new Int32Array(2 * n);
    for (let i = 0; i < n; i++) {
      words[2 * i] = value(i);
      words[2 * i + 1] = Math.floor(value(i) / 2 ** 32);
    }
    return { type: 'int64', data: new BigInt64Array(words.buffer), dims };
  }
  if (elementType === ELEMENT.int32) return { type: 'int32', data: fill(new Int32Array(n)), dims };
  if (elementType === ELEMENT.bool) return { type: 'bool', data: fill(new Uint8Array(n)), dims };
  const floats = fill(new Float32Array(n));
  if (elementType !== ELEMENT.float16) return { type: 'float32', data: floats, dims };
  return { type: 'float16', data: new Uint16Array(encodeFloats(floats, 'F16').buffer), dims };
}
