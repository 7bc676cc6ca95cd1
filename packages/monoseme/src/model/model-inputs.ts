import { MonosemeError } from '../errors.ts';
import { type DeclaredInput, ELEMENT } from './onnx-graph.ts';

/** What an input of a model means to us. */
type Role = 'input_ids' | 'attention_mask' | 'position_ids' | 'token_type_ids' | 'past';

export interface ModelInput extends DeclaredInput {
  role: Role;
}

const ALLOWED: Record<Role, readonly number[]> = {
  input_ids: [ELEMENT.int64, ELEMENT.int32],
  attention_mask: [ELEMENT.int64, ELEMENT.int32, ELEMENT.float, ELEMENT.bool],
  position_ids: [ELEMENT.int64, ELEMENT.int32],
  token_type_ids: [ELEMENT.int64, ELEMENT.int32],
  past: [ELEMENT.float, ELEMENT.float16],
};

/**
 * Give every input of a language model its meaning by its name, as Optimum and PyTorch's users name them:
 * token ids, an attention mask (all ones), positions (0, 1, 2, …), token types (0), and caches of past keys
 * and values (empty).
 *
 * @throws {MonosemeError} ERR_MODEL naming an input that is none of these, or has a type or rank that does
 * not fit
 */
export function understandInputs(inputs: readonly DeclaredInput[]): ModelInput[] {
  const understood = inputs.map((input) => ({ ...input, role: roleOf(input.name) }));
  for (const input of understood) {
    const rankFits = input.role === 'past' ? input.dims.length >= 3 : input.dims.length === 2;
    if (input.role !== undefined && ALLOWED[input.role].includes(input.elementType) && rankFits) continue;
    const type = Object.entries(ELEMENT).find(([, element]) => element === input.elementType)?.[0] ?? 'other';
    const dims = input.dims.map((size) => size ?? '?').join(', ');
    throw new MonosemeError(
      'ERR_MODEL',
      `The model has the input "${input.name}" (${type} [${dims}]), which is not understood.`,
      'Models take input_ids, attention_mask, position_ids, token_type_ids and past_key_values.',
    );
  }
  if (!understood.some(({ role }) => role === 'input_ids'))
    throw new MonosemeError(
      'ERR_MODEL',
      'The model has no input "input_ids".',
      'Give a model that reads tokens.',
    );
  return understood as ModelInput[];
}

function roleOf(name: string): Role | undefined {
  if (/^(past_key_values|past)([._\d]|$)/.test(name)) return 'past';
  return Object.hasOwn(ALLOWED, name) && name !== 'past' ? (name as Role) : undefined;
}

/** Sizes of batch and sequence that the graph fixes; undefined where it takes any. */
export function fixedSizes(inputs: readonly ModelInput[]): { batch?: number; sequence?: number } {
  const [batch, sequence] = inputs.find(({ role }) => role === 'input_ids')!.dims;
  return { batch, sequence };
}

/** A tensor to feed: what ONNX Runtime's Tensor takes. */
export interface Feed {
  type: 'int64' | 'int32' | 'float32' | 'float16' | 'bool';
  data: BigInt64Array | Int32Array | Float32Array | Uint16Array | Uint8Array;
  dims: number[];
}

/** Values of all inputs for tokens [batch, sequence], by name. */
export function makeFeeds(
  inputs: readonly ModelInput[],
  tokens: Uint32Array,
  sequence: number,
): Record<string, Feed> {
  const batch = tokens.length / sequence;
  const feeds: Record<string, Feed> = {};
  for (const input of inputs) {
    if (input.role === 'past') {
      const dims = input.dims.map((size, axis) => (axis === 0 ? batch : (size ?? 0)));
      feeds[input.name] = feed(input.elementType, 0, dims, () => 0);
    } else {
      feeds[input.name] = feed(input.elementType, tokens.length, [batch, sequence], (i) => {
        if (input.role === 'input_ids') return tokens[i];
        if (input.role === 'position_ids') return i % sequence;
        return input.role === 'attention_mask' ? 1 : 0;
      });
    }
  }
  return feeds;
}

function feed(elementType: number, n: number, dims: number[], value: (i: number) => number): Feed {
  const fill = <T extends { [i: number]: number }>(data: T): T => {
    for (let i = 0; i < n; i++) data[i] = value(i);
    return data;
  };
  if (elementType === ELEMENT.int64) {
    const low = new Int32Array(2 * n);
    for (let i = 0; i < n; i++) low[2 * i] = value(i);
    return { type: 'int64', data: new BigInt64Array(low.buffer), dims };
  }
  if (elementType === ELEMENT.int32) return { type: 'int32', data: fill(new Int32Array(n)), dims };
  if (elementType === ELEMENT.bool) return { type: 'bool', data: fill(new Uint8Array(n)), dims };
  if (elementType === ELEMENT.float16) return { type: 'float16', data: new Uint16Array(n), dims };
  return { type: 'float32', data: fill(new Float32Array(n)), dims };
}
