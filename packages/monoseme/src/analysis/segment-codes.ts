import type { Codes } from '../kernels/contract.ts';
import { type CodedText, codedChunks, type Pass } from './coded-text.ts';

/**
 * The codes of a text by pieces instead of tokens: a latent is as active on a piece as on the token of it where it is
 * most active. Pieces come in order and each once, as those of one token do.
 *
 * @param ofTokens the piece of each token, rising; −1 for tokens of none
 */
export async function* segmentCodes(
  text: CodedText,
  ofTokens: Int32Array,
  pass: Pass,
): AsyncGenerator<Codes> {
  const { dSae } = text.dictionary.config;
  let open = new OpenSegment();
  for await (const { codes, firstToken } of codedChunks([text], pass)) {
    const [chunk] = codes;
    const rows = new RowBuilder(dSae, chunk.values.length + open.size);
    for (let row = 0; row < chunk.nRows; row++) {
      const segment = ofTokens[firstToken + row];
      if (segment === -1) continue;
      if (segment !== open.segment) {
        if (open.segment !== -1) rows.add(open);
        open = new OpenSegment(segment);
      }
      open.add(chunk, row);
    }
    // The last piece may go on in the next chunk.
    if (rows.nRows > 0) yield rows.codes();
  }
  if (open.segment === -1) return;
  const last = new RowBuilder(dSae, open.size);
  last.add(open);
  yield last.codes();
}

/** Codes of both sides over the same pieces, as many at a time as both have. */
export async function* inStep(
  a: AsyncIterable<Codes>,
  b: AsyncIterable<Codes>,
): AsyncGenerator<[Codes, Codes]> {
  const iterators = [a[Symbol.asyncIterator](), b[Symbol.asyncIterator]()];
  const left: [Codes | undefined, Codes | undefined] = [undefined, undefined];
  try {
    for (;;) {
      const missing = await Promise.all(
        iterators.map(async (iterator, side) => {
          if (left[side]) return false;
          const { value, done } = await iterator.next();
          if (!done) left[side] = value;
          return done === true;
        }),
      );
      if (missing.includes(true)) return;
      const [first, second] = left as [Codes, Codes];
      const n = Math.min(first.nRows, second.nRows);
      left[0] = rowsFrom(first, n);
      left[1] = rowsFrom(second, n);
      yield [firstRows(first, n), firstRows(second, n)];
    }
  } finally {
    await Promise.all(iterators.map((iterator) => iterator.return?.()));
  }
}

function firstRows(codes: Codes, n: number): Codes {
  return { ...codes, nRows: n, rowPointers: codes.rowPointers.subarray(0, n + 1) };
}

function rowsFrom(codes: Codes, n: number): Codes | undefined {
  if (n === codes.nRows) return undefined;
  return { ...codes, nRows: codes.nRows - n, rowPointers: codes.rowPointers.subarray(n) };
}

/** A piece whose tokens are still coming. */
class OpenSegment {
  readonly segment: number;
  /** Largest activation by latent. */
  readonly #largest = new Map<number, number>();

  constructor(segment = -1) {
    this.segment = segment;
  }

  get size(): number {
    return this.#largest.size;
  }

  add({ rowPointers, latentIndices, values }: Codes, row: number): void {
    for (let i = rowPointers[row]; i < rowPointers[row + 1]; i++) {
      const known = this.#largest.get(latentIndices[i]);
      if (known === undefined || known < values[i]) this.#largest.set(latentIndices[i], values[i]);
    }
  }

  pairs(): [latent: number, value: number][] {
    return [...this.#largest].sort(([a], [b]) => a - b);
  }
}

/** Rows of codes as they come, of at most `capacity` pairs. */
class RowBuilder {
  readonly #dSae: number;
  readonly #rowPointers = [0];
  readonly #latentIndices: Uint32Array;
  readonly #values: Float32Array;
  #n = 0;

  constructor(dSae: number, capacity: number) {
    this.#dSae = dSae;
    this.#latentIndices = new Uint32Array(capacity);
    this.#values = new Float32Array(capacity);
  }

  get nRows(): number {
    return this.#rowPointers.length - 1;
  }

  add(segment: OpenSegment): void {
    for (const [latent, value] of segment.pairs()) {
      this.#latentIndices[this.#n] = latent;
      this.#values[this.#n++] = value;
    }
    this.#rowPointers.push(this.#n);
  }

  codes(): Codes {
    return {
      ...{ nRows: this.nRows, dSae: this.#dSae, rowPointers: Uint32Array.from(this.#rowPointers) },
      latentIndices: this.#latentIndices.subarray(0, this.#n),
      values: this.#values.subarray(0, this.#n),
    };
  }
}
