import { type DocumentSpan, tokenPieces, type TokenText } from '../corpus/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import { sha256 } from '../formats/index.ts';
import { deviceText, expectTokens, type ModelRunner } from '../model/index.ts';
import { allFinite, encodeFloats, expectPositiveInteger } from '../tensor/index.ts';
import {
  checkRowOptions,
  gatherRows,
  type LeftOut,
  leftOutOf,
  rowNorms,
  type RowOptions,
  selectionText,
  type SelectedTokens,
  selectTokens,
} from './row-selection.ts';
import { SpareArrays } from './spare-arrays.ts';
import type { DroppedRows, RowOrigins, SourceRows } from './source.ts';
import type { HarvestSource } from './write-store.ts';

/** Tokens of a chunk, about: small chunks mix well, and this is one call of ONNX Runtime. */
const TOKENS_PER_CHUNK = 2048;
/** Half-precision numbers from here on are rounded to infinity. */
const HALF_OVERFLOW = 65_520;
/** Tokens of which the median norm is taken, about. */
const NORM_TOKENS = 8192;
/** Activations that are kept from taking it until they are read, at most. */
const KEPT_BYTES = 2 ** 26;

export interface ModelSourceOptions {
  /** By default as many as make about 2,048 tokens. */
  contextsPerChunk?: number;
  rows?: RowOptions;
  /** Refuse values that half precision cannot hold. */
  forF16?: boolean;
}

/**
 * The activations of a model, computed when they are read.
 *
 * @throws {MonosemeError} ERR_EMPTY_TEXT without a whole context, or where every token is dropped; ERR_OPTION; ERR_TOKENIZER
 * (a token that the model does not embed). Reading: the runner's errors; ERR_NOT_FINITE naming hook, context, position and
 * document; ERR_INTERRUPTED
 */
export function modelSource(
  runner: ModelRunner,
  tokens: TokenText,
  options: ModelSourceOptions = {},
): ModelSource {
  return new ModelSource(runner, tokens, options);
}

/** A chunk's activations at the selected tokens. */
interface SelectedRows extends SelectedTokens {
  readonly activations: Float32Array;
}

/** Rows of which all is known that a source may know. */
interface ModelRows extends SourceRows {
  readonly origins: Required<RowOrigins>;
}

/** The same, the activations as bytes of f16. */
interface ModelHalves {
  readonly halves: Uint8Array;
  readonly origins: Required<RowOrigins>;
}

/**
 * Where rows are dropped by their norms, `chunkRows` says how many there are at most, and `readRows` may give fewer.
 */
export class ModelSource implements HarvestSource {
  readonly dIn: number;
  readonly contextSize: number;
  readonly nChunks: number;
  readonly description: string;
  readonly hash: string;
  readonly modelHash: string;
  readonly modelName: string;
  readonly hookName: string;
  readonly leftOut: LeftOut | undefined;
  readonly #runner: ModelRunner;
  readonly #tokens: TokenText;
  readonly #rows: RowOptions;
  readonly #contextsPerChunk: number;
  readonly #chunkRows: Float64Array;
  readonly #spare = new SpareArrays();
  readonly #dropped = { read: 0, tokens: 0, notDrawn: 0, norms: 0 };
  /** Activations are below it, and above its negative. */
  readonly #limit: number;
  #largestNorm: Promise<number> | undefined;
  /** [nDocuments]: first token of each, once it is asked for. */
  #documentStarts: Float64Array | undefined;
  /** Chunks that were computed for the median norm and are not yet read. */
  readonly #measured = new Map<number, SelectedRows>();

  constructor(runner: ModelRunner, tokens: TokenText, options: ModelSourceOptions) {
    const { contextSize, nContexts } = tokens;
    const { contextsPerChunk = Math.max(1, Math.floor(TOKENS_PER_CHUNK / contextSize)), rows = {} } = options;
    expectPositiveInteger('The number of contexts of a chunk', contextsPerChunk);
    if (nContexts === 0)
      throw new MonosemeError(
        'ERR_EMPTY_TEXT',
        `The text has fewer tokens than one context of ${contextSize}.`,
        'Give more text or a smaller context size.',
      );
    expectTokens(runner.model, tokens.tokens, contextSize);
    checkRowOptions(rows, tokens);
    const { dIn, hookName, model } = runner;
    this.#runner = runner;
    this.#tokens = tokens;
    this.#rows = rows;
    this.#limit = options.forF16 ? HALF_OVERFLOW : Infinity;
    this.#contextsPerChunk = contextsPerChunk;
    this.dIn = dIn;
    this.contextSize = contextSize;
    this.nChunks = Math.ceil(nContexts / contextsPerChunk);
    this.#chunkRows = this.#countRows();
    if (this.#chunkRows.every((n) => n === 0))
      throw new MonosemeError('ERR_EMPTY_TEXT', 'Every token of the text is dropped.', 'Drop fewer.');
    const selection = selectionText(rows);
    const device = deviceText(model);
    this.description = `${hookName} [${dIn}] of ${model.name}, ${nContexts} contexts of ${contextSize} tokens${selection}${device}`;
    const settings = [model.sha256, runner.tensorName, contextSize, contextsPerChunk, selection + device];
    this.hash = sha256(settings.join(' '), tokenPieces(tokens.tokens));
    this.modelHash = model.sha256;
    this.modelName = model.name;
    this.hookName = hookName;
    this.leftOut = leftOutOf(rows);
  }

  chunkRows(chunk: number): number {
    return this.#chunkRows[chunk];
  }

  chunkTokens(chunk: number): number {
    const [from, to] = this.#contexts(chunk);
    return (to - from) * this.contextSize;
  }

  countTokens(): Omit<DroppedRows, 'norms'> {
    const read = this.#tokens.nContexts * this.contextSize;
    const memory = new Uint32Array(this.#contextsPerChunk * this.contextSize);
    let tokens = 0;
    let rows = 0;
    for (let chunk = 0; chunk < this.nChunks; chunk++) {
      const { places, nDropped } = selectTokens(this.#tokens, ...this.#contexts(chunk), this.#rows, memory);
      tokens += nDropped;
      rows += places.length;
    }
    return { read, tokens, notDrawn: read - tokens - rows };
  }

  get dropped(): DroppedRows | undefined {
    const { tokens, notDrawn, norms } = this.#dropped;
    return tokens + notDrawn + norms > 0 ? { ...this.#dropped } : undefined;
  }

  async readChunk(chunk: number, signal?: AbortSignal): Promise<Float32Array> {
    if (this.#rows.maxNormRatio !== undefined) return (await this.readRows(chunk, signal)).activations;
    throwIfAborted(signal);
    return (await this.#countedRows(chunk)).activations;
  }

  recycle(rows: Float32Array | Uint8Array): void {
    this.#runner.recycle(rows);
  }

  recycleOrigins({ tokenIds, positions, documents }: Required<RowOrigins>): void {
    this.#spare.giveBack([tokenIds, positions, documents]);
  }

  async readRows(chunk: number, signal?: AbortSignal): Promise<ModelRows> {
    throwIfAborted(signal);
    const largest = await this.largestNorm();
    const { activations, places } = await this.#countedRows(chunk);
    if (largest === Infinity) return { activations, origins: this.#origins(places) };
    const norms = rowNorms(activations, this.dIn);
    const kept = Uint32Array.from(places.keys()).filter((row) => norms[row] <= largest);
    this.#dropped.norms += places.length - kept.length;
    const origins = this.#origins(Uint32Array.from(kept, (row) => places[row]));
    return { activations: gatherRows(activations, this.dIn, kept), origins };
  }

  /**
   * A chunk as f16, rounded by the runtime. @throws as readChunk, and ERR_NOT_FINITE for values that f16 cannot hold
   */
  async readHalves(chunk: number, signal?: AbortSignal): Promise<ModelHalves> {
    if (this.#rows.maxNormRatio !== undefined) {
      const { activations, origins } = await this.readRows(chunk, signal);
      return { halves: encodeFloats(activations, 'F16'), origins };
    }
    throwIfAborted(signal);
    const [from, to] = this.#contexts(chunk);
    const first = from * this.contextSize;
    const part = this.#tokens.tokens.subarray(first, to * this.contextSize);
    const all = await this.#runner.halfActivations(part, this.contextSize);
    const memory = this.#spare.take(part.length);
    const { places, nDropped } = selectTokens(this.#tokens, from, to, this.#rows, memory);
    const rows = places.length === part.length ? places : places.map((place) => place - first);
    const halves = gatherRows(all, this.dIn, rows);
    if (halves !== all) this.#runner.recycle(all);
    if (holdsInfinity(halves)) await this.readRows(chunk, signal); // says where
    this.#count(part.length, places.length, nDropped);
    const origins = this.#origins(places);
    this.#spare.giveBack([memory]);
    return { halves: new Uint8Array(halves.buffer, halves.byteOffset, halves.byteLength), origins };
  }

  async readOrigins(chunk: number, signal?: AbortSignal): Promise<RowOrigins> {
    if (this.#rows.maxNormRatio !== undefined) return (await this.readRows(chunk, signal)).origins;
    const [from, to] = this.#contexts(chunk);
    return this.#origins(selectTokens(this.#tokens, from, to, this.#rows).places);
  }

  #count(read: number, rows: number, nDropped: number): void {
    this.#dropped.read += read;
    this.#dropped.tokens += nDropped;
    this.#dropped.notDrawn += read - nDropped - rows;
  }

  /** Contexts of a chunk, from and to. */
  #contexts(chunk: number): [number, number] {
    const from = chunk * this.#contextsPerChunk;
    return [from, Math.min(from + this.#contextsPerChunk, this.#tokens.nContexts)];
  }

  #countRows(): Float64Array {
    const { tokensPerContext = this.contextSize, dropTokens = [], roles } = this.#rows;
    return Float64Array.from({ length: this.nChunks }, (_, chunk) => {
      const [from, to] = this.#contexts(chunk);
      if (dropTokens.length === 0 && !roles) return (to - from) * tokensPerContext;
      return selectTokens(this.#tokens, from, to, this.#rows).places.length;
    });
  }

  async #countedRows(chunk: number): Promise<SelectedRows> {
    const rows = this.#measured.get(chunk) ?? (await this.#selectedRows(chunk));
    this.#measured.delete(chunk);
    this.#count(this.chunkTokens(chunk), rows.places.length, rows.nDropped);
    return rows;
  }

  async #selectedRows(chunk: number): Promise<SelectedRows> {
    const { contextSize, dIn } = this;
    const [from, to] = this.#contexts(chunk);
    const first = from * contextSize;
    const all = await this.#runner.activations(
      this.#tokens.tokens.subarray(first, to * contextSize),
      contextSize,
    );
    const selected = selectTokens(this.#tokens, from, to, this.#rows);
    const rows = selected.places.map((place) => place - first);
    const activations = gatherRows(all, dIn, rows);
    if (activations !== all) this.#runner.recycle(all);
    this.#expectFinite(activations, selected.places);
    return { ...selected, activations };
  }

  /** The norm above which rows are dropped; Infinity for none. Measured at first use. @throws as readChunk */
  largestNorm(): Promise<number> | number {
    const { maxNormRatio } = this.#rows;
    if (maxNormRatio === undefined) return Infinity;
    this.#largestNorm ??= this.#medianNorm().then((median) => maxNormRatio * median);
    return this.#largestNorm;
  }

  /** Of chunks spread over the text, which are kept for their reading. */
  async #medianNorm(): Promise<number> {
    const n = Math.min(this.nChunks, Math.ceil(NORM_TOKENS / (this.#contextsPerChunk * this.contextSize)));
    const norms: number[] = [];
    let bytes = 0;
    for (let i = 0; i < n; i++) {
      const chunk = Math.floor((i * this.nChunks) / n);
      const rows = await this.#selectedRows(chunk);
      norms.push(...rowNorms(rows.activations, this.dIn));
      bytes += rows.activations.byteLength;
      if (bytes <= KEPT_BYTES) this.#measured.set(chunk, rows);
    }
    return norms.sort((a, b) => a - b)[Math.floor(norms.length / 2)];
  }

  #origins(places: Uint32Array): Required<RowOrigins> {
    const take = () => this.#spare.take(places.length);
    const [tokenIds, positions, documents] = [take(), take(), take()];
    const first = places[0] ?? 0;
    const tokens = this.#tokens.tokens.subarray(first, (places.at(-1) ?? 0) + 1);
    for (let row = 0; row < places.length; row++) {
      tokenIds[row] = tokens[places[row] - first];
      positions[row] = places[row] % this.contextSize;
    }
    this.#documentStarts ??= Float64Array.from(this.#tokens.documents, ({ start }) => start);
    numberDocuments_(this.#documentStarts, places, documents);
    return { tokenIds, positions, documents };
  }

  /** Name the token where the first NaN, infinity, or value too large to be stored stands. */
  #expectFinite(activations: Float32Array, places: Uint32Array): void {
    const limit = this.#limit;
    if (limit === Infinity && allFinite(activations)) return;
    let index = 0;
    while (index < activations.length && activations[index] < limit && activations[index] > -limit) index++;
    if (index === activations.length) return;
    const place = places[Math.floor(index / this.dIn)];
    const value = activations[index];
    const what = `${this.#runner.hookName} is ${value}`;
    throw Number.isFinite(value)
      ? notFinite(this.#tokens, place, `${what}, too large for F16,`, 'Store BF16 or F32 instead (--dtype).')
      : notFinite(this.#tokens, place, what);
  }
}

/** Whether f16 bits hold an infinity or NaN: an exponent of ones. Two are looked at together. */
function holdsInfinity(halves: Uint16Array): boolean {
  const even = halves.length - (halves.length % 2);
  if (halves.byteOffset % 4 !== 0) return holdsInfinity(halves.slice());
  const pairs = new Uint32Array(halves.buffer, halves.byteOffset, even / 2);
  let found = 0;
  // Adding the lowest bit of the exponent carries into the sign's place just where all of its bits are ones.
  for (let i = 0; i < pairs.length; i++) found |= ((pairs[i] & 0x7c007c00) + 0x04000400) & 0x80008000;
  if (even < halves.length && (halves[even] & 0x7c00) === 0x7c00) found = 1;
  return found !== 0;
}

/** Numbers of the documents, by their first tokens, that places of the token stream lie in, 0 without documents. The places rise. */
function numberDocuments_(starts: Float64Array, places: Uint32Array, numbers: Uint32Array): void {
  let low = 0;
  for (let high = starts.length; high - low > 1;) {
    const middle = (low + high) >>> 1;
    if (starts[middle] <= places[0]) low = middle;
    else high = middle;
  }
  for (let row = 0; row < places.length; row++) {
    while (low + 1 < starts.length && starts[low + 1] <= places[row]) low++;
    numbers[row] = low;
  }
}

/** The error for a value that cannot be used, at a token of the set. */
function notFinite(tokens: TokenText, token: number, what: string, advice?: string): MonosemeError {
  const { contextSize, documents } = tokens;
  let document: DocumentSpan | undefined;
  for (const span of documents) if (span.start <= token) document = span;
  const place = `context ${Math.floor(token / contextSize)}, position ${token % contextSize}`;
  return new MonosemeError(
    'ERR_NOT_FINITE',
    `${what} at ${place}${document === undefined ? '' : ` (document ${document.id})`}.`,
    advice ?? 'If the model computes in fp16, take its fp32 version.',
  );
}
