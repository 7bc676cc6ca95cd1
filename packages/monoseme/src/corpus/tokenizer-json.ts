import { statSync } from 'node:fs';
import { MonosemeError, fileError } from '../errors.ts';
import { readJson } from './read-text.ts';

/** The parts of a tokenizer.json that are looked at here; the rest is the library's to read. */
export type TokenizerJson = {
  model: { type?: string; vocab: Record<string, number> | [string, number][] };
  added_tokens: { id: number; content: string; special: boolean }[];
  normalizer: Step | null;
  pre_tokenizer: Step | null;
  post_processor: Step | null;
  decoder: Step | null;
};

export type Step = { type: string; [option: string]: unknown };

/** The largest known vocabularies have a quarter of a million tokens and files of 35 MB. */
const MAX_FILE_BYTES = 128 * 2 ** 20;
const MAX_VOCAB = 2 ** 22;

/**
 * Read a tokenizer.json from disk.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_LIMIT (over 128 MiB), ERR_TOKENIZER (not JSON)
 */
export function readTokenizerFile(file: string): unknown {
  let size: number;
  try {
    ({ size } = statSync(file));
  } catch (error) {
    throw fileError(error, `read the tokenizer ${file}`);
  }
  if (size > MAX_FILE_BYTES) {
    throw new MonosemeError(
      'ERR_LIMIT',
      `The tokenizer ${file} has ${size} bytes; the limit is ${MAX_FILE_BYTES}.`,
      'Check that it is the tokenizer.json of a model.',
    );
  }
  try {
    return readJson(file);
  } catch (error) {
    if (error instanceof MonosemeError && error.code === 'ERR_FORMAT') throw notTokenizer(error.what, error);
    throw error;
  }
}

/**
 * Check what the toolkit relies on and fill in the parts that may be left out. Mutates nothing.
 *
 * @throws {MonosemeError} ERR_TOKENIZER naming the part that is wrong
 */
export function checkTokenizerJson(json: unknown): TokenizerJson {
  if (!isObject(json) || !isObject(json.model)) throw notTokenizer('It has no "model".');
  const { vocab, type } = json.model;
  if (type !== undefined && typeof type !== 'string') throw notTokenizer('Its model type is not a name.');
  checkVocab(vocab);
  const added = json.added_tokens ?? [];
  if (!Array.isArray(added) || !added.every(isAddedToken))
    throw notTokenizer('Its "added_tokens" are malformed.');
  if (type === 'BPE' && !Array.isArray(json.model.merges))
    throw notTokenizer('Its BPE model has no "merges".');
  const steps = Object.fromEntries(
    ['normalizer', 'pre_tokenizer', 'post_processor', 'decoder'].map((name) => [name, stepOf(json, name)]),
  );
  return { ...json, ...steps, added_tokens: added } as TokenizerJson;
}

/** Every step of one part, those inside a `Sequence` included. */
export function stepsOf(step: Step | null): Step[] {
  if (step === null) return [];
  const inner = step.pretokenizers ?? step.decoders ?? step.normalizers ?? step.processors;
  return step.type === 'Sequence' && Array.isArray(inner) ? (inner as Step[]).flatMap(stepsOf) : [step];
}

/** The pairs of a vocabulary: an object of ids, or (Unigram) a list of pieces in order of id. */
export function vocabEntries(json: TokenizerJson): [token: string, id: number][] {
  const { vocab } = json.model;
  return Array.isArray(vocab) ? vocab.map(([piece], id) => [piece, id]) : Object.entries(vocab);
}

function checkVocab(vocab: unknown): void {
  if (Array.isArray(vocab)) {
    if (vocab.length > MAX_VOCAB) throw notTokenizer(`Its vocabulary has ${vocab.length} tokens.`);
    if (vocab.every((pair) => Array.isArray(pair) && typeof pair[0] === 'string')) return;
    throw notTokenizer('Its vocabulary is not a list of pieces.');
  }
  if (!isObject(vocab)) throw notTokenizer('Its model has no "vocab".');
  for (const [token, id] of Object.entries(vocab)) {
    if (!isId(id))
      throw notTokenizer(`Its token ${JSON.stringify(token.slice(0, 40))} has the id ${String(id)}.`);
  }
}

function stepOf(json: Record<string, unknown>, name: string): Step | null {
  const step = json[name] ?? null;
  if (step === null || (isObject(step) && typeof step.type === 'string')) return step as Step | null;
  throw notTokenizer(`Its "${name}" has no type.`);
}

function isAddedToken(token: unknown): boolean {
  return isObject(token) && isId(token.id) && typeof token.content === 'string' && token.content !== '';
}

function isId(id: unknown): boolean {
  return Number.isInteger(id) && (id as number) >= 0 && (id as number) < MAX_VOCAB;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function notTokenizer(what: string, cause?: unknown): MonosemeError {
  const advice = 'Use the tokenizer.json (Hugging Face format) that came with the model.';
  return new MonosemeError('ERR_TOKENIZER', `The tokenizer cannot be used. ${what}`, advice, { cause });
}
