import { type ActivationSource, readAhead } from '../activations/index.ts';
import { type Dictionary, encode } from '../dictionary/index.ts';
import { MonosemeError, throwIfAborted } from '../errors.ts';
import type { Codes, KernelBackend } from '../kernels/contract.ts';

/** A text as latents see it: a dictionary over the activations of a text. */
export interface CodedText {
  readonly dictionary: Dictionary;
  readonly source: ActivationSource;
}

export interface Pass {
  readonly backend: KernelBackend;
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneTokens: number) => void;
}

/** Codes of some whole contexts, and where they begin in the text. */
export interface CodedChunk {
  /** One for each dictionary that was asked for, over the same tokens. Their memory is given back like the activations'. */
  readonly codes: readonly Codes[];
  /**
   * The activations that they are of: [nRows, dIn] each, the same array where texts share a source. Their memory is given
   * back when the next chunk is asked for.
   */
  readonly activations: readonly Float32Array[];
  readonly firstToken: number;
}

/**
 * Go once through a text with several dictionaries, whose activations may be of different models over the same tokens.
 *
 * @param every only every so manieth chunk, from the first
 * @throws {MonosemeError} ERR_MISMATCH when the texts are not the same length in the same contexts, or a dictionary does
 * not fit its activations; ERR_INTERRUPTED
 */
export async function* codedChunks(
  texts: readonly CodedText[],
  pass: Pass,
  every = 1,
): AsyncGenerator<CodedChunk> {
  const [first] = texts;
  for (const text of texts) expectFit(text, first);
  // Three chunks at a time: one is read, one is encoded, one is looked at by the caller.
  let encoded: Promise<CodedChunk> | undefined;
  const done = ({ firstToken, codes, activations }: CodedChunk) => {
    pass.onProgress?.(firstToken + codes[0].nRows);
    giveBack(pass.backend, texts, activations);
    pass.backend.release(
      codes.flatMap(({ rowPointers, latentIndices, values }) => [rowPointers, latentIndices, values]),
    );
  };
  try {
    for await (const rows of readAhead(placesOf(first.source, every), (place) =>
      rowsAt(texts, place, pass),
    )) {
      throwIfAborted(pass.signal);
      const next = encodeRows(texts, rows, pass);
      next.catch(() => {}); // thrown when it is due
      if (encoded) {
        const chunk = await encoded;
        encoded = next;
        yield chunk;
        done(chunk);
      } else encoded = next;
    }
    if (!encoded) return;
    const chunk = await encoded;
    yield chunk;
    done(chunk);
  } finally {
    await encoded?.catch(() => {});
  }
}

/** Megabytes a chunk keep the collector of garbage busy: they go back to the source, or else to the system. */
function giveBack(
  backend: KernelBackend,
  texts: readonly CodedText[],
  activations: readonly Float32Array[],
): void {
  const rowsOf = new Map(texts.map(({ source }, i) => [source, activations[i]]));
  for (const [source, rows] of rowsOf) {
    if (source.recycle) source.recycle(rows);
    // Of a larger array it would take the rest along.
    else if (rows.buffer.byteLength === rows.byteLength) backend.release([rows]);
  }
}

interface Place {
  readonly chunk: number;
  readonly firstToken: number;
}

function* placesOf(source: ActivationSource, every: number): Generator<Place> {
  for (let [chunk, firstToken] = [0, 0]; chunk < source.nChunks; chunk++) {
    if (chunk % every === 0) yield { chunk, firstToken };
    firstToken += source.chunkRows(chunk);
  }
}

interface Rows {
  readonly firstToken: number;
  readonly of: ReadonlyMap<ActivationSource, Float32Array>;
}

async function rowsAt(
  texts: readonly CodedText[],
  { chunk, firstToken }: Place,
  { signal }: Pass,
): Promise<Rows> {
  const sources = [...new Set(texts.map(({ source }) => source))];
  const rows = await Promise.all(sources.map((source) => source.readChunk(chunk, signal)));
  return { firstToken, of: new Map(sources.map((source, i) => [source, rows[i]])) };
}

async function encodeRows(
  texts: readonly CodedText[],
  { firstToken, of }: Rows,
  { backend }: Pass,
): Promise<CodedChunk> {
  const activations = texts.map(({ source }) => of.get(source)!);
  // All at once: where one waits for its last rows another goes on.
  const codes = await Promise.all(
    texts.map(({ dictionary }, i) =>
      encode(dictionary, backend, activations[i], activations[i].length / dictionary.config.dIn),
    ),
  );
  return { codes, activations, firstToken };
}

/**
 * Analyses of decoder directions need them in the space that the dictionary reads.
 *
 * @throws {MonosemeError} ERR_OPTION for a transcoder or crosscoder
 */
export function expectAutoencoder({ config }: Dictionary): void {
  if (config.targetHookName === undefined && !config.sources) return;
  throw new MonosemeError(
    'ERR_OPTION',
    `The dictionary is a ${config.sources ? 'crosscoder' : 'transcoder'}: its decoder directions are not of the tensor that it reads.`,
    'Autoencoders of one hook point can be looked at so.',
  );
}

function expectFit({ dictionary, source }: CodedText, first: CodedText): void {
  if (source.dIn !== dictionary.config.dIn)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `A dictionary reads ${dictionary.config.dIn} inputs, but its activations are ${source.dIn} wide.`,
      'Choose the hook that the dictionary was trained on.',
    );
  const same =
    source.nChunks === first.source.nChunks &&
    source.contextSize === first.source.contextSize &&
    Array.from({ length: source.nChunks }, (_, i) => i).every(
      (chunk) => source.chunkRows(chunk) === first.source.chunkRows(chunk),
    );
  if (same) return;
  throw new MonosemeError(
    'ERR_MISMATCH',
    `The activations are over different texts: ${first.source.description}; ${source.description}.`,
    'Compare dictionaries over the same text and contexts.',
  );
}

/** The positive elements of dense rows [nRows, d] as codes: neurons as if they were latents. */
export function codesOfDense(dense: Float32Array, nRows: number, d: number): Codes {
  const rowPointers = new Uint32Array(nRows + 1);
  let n = 0;
  for (let at = 0; at < dense.length; at++) if (dense[at] > 0) n++;
  const latentIndices = new Uint32Array(n);
  const values = new Float32Array(n);
  n = 0;
  for (let row = 0, at = 0; row < nRows; row++) {
    for (let column = 0; column < d; column++, at++) {
      if (!(dense[at] > 0)) continue;
      latentIndices[n] = column;
      values[n++] = dense[at];
    }
    rowPointers[row + 1] = n;
  }
  return { nRows, dSae: d, rowPointers, latentIndices, values };
}
