import { MonosemeError } from '../errors.ts';
import type { Codes, KernelBackend } from '../kernels/contract.ts';
import { type Margin, PairSums } from './pair-sums.ts';
import { DensePairTable, type PairTable, SparsePairTable } from './pair-table.ts';

/** Pairs whose sums stand in one table (up to four numbers a pair, 768 MiB at most); more take a sparse table. */
const DENSE_PAIRS = 2 ** 24 + 2 ** 23;
/** Slots of the sparse table: 40 bytes each, 1.25 GiB at most. */
const MAX_SLOTS = 2 ** 25;
/** Tokens and active pairs that are summed together: the more, the fewer times the table goes through the cache. */
const BLOCK_ROWS = 2 ** 16;
const BLOCK_PAIRS = 2 ** 22;

/**
 * Makes the sums of products of two sets of sparse columns over a stream of tokens: latents with latents, with neurons,
 * with proxies.
 *
 * Activations are not stored for longer than a block, and only pairs that are active together take part, so a token costs
 * the product of its two L0. Up to 25 million possible pairs stand in a dense table, summed by the kernels while the
 * caller makes the next block; beyond that, in a hash table that grows to 2²⁵ pairs and then drops the rarest.
 */
export class PairSummer {
  readonly #a: Margin;
  readonly #b: Margin;
  readonly #table: PairTable;
  #nTokens = 0;
  #waiting: (readonly [Codes, Codes])[] = [];
  #waitingRows = 0;
  #waitingPairs = 0;
  readonly #backend: KernelBackend;
  /** The block that is being summed. */
  #summing: Promise<void> = Promise.resolve();

  /**
   * @param options `masked: false` halves the memory where no masked cosine is needed; `counted: false` halves that of a
   * dense table again, where it does not matter on how many tokens a pair was together
   */
  constructor(
    backend: KernelBackend,
    dA: number,
    dB: number,
    options: { masked?: boolean; counted?: boolean; densePairs?: number; maxSlots?: number } = {},
  ) {
    const { masked = true, counted = true, densePairs = DENSE_PAIRS, maxSlots = MAX_SLOTS } = options;
    this.#backend = backend;
    this.#a = margin(dA);
    this.#b = margin(dB);
    this.#table =
      dA * dB <= densePairs
        ? new DensePairTable(backend, dA, dB, masked ? 4 : counted ? 2 : 1)
        : // It has to know which pairs are rare.
          new SparsePairTable(backend, masked ? 4 : 2, maxSlots);
  }

  get nTokens(): number {
    return this.#nTokens;
  }

  /**
   * Add rows of two sets of codes over the same tokens. The codes must not change afterwards: they are summed later,
   * many at once.
   *
   * @throws {MonosemeError} ERR_MISMATCH
   */
  async add(a: Codes, b: Codes): Promise<void> {
    const [dA, dB] = [this.#a.sums.length, this.#b.sums.length];
    if (a.nRows !== b.nRows || a.dSae !== dA || b.dSae !== dB)
      throw new MonosemeError(
        'ERR_MISMATCH',
        `${a.nRows} tokens of ${a.dSae} columns cannot be paired with ${b.nRows} of ${b.dSae}, where ${dA} and ${dB} are due.`,
        'Compare activations over the same text.',
      );
    this.#nTokens += a.nRows;
    addMargin_(this.#a, a);
    addMargin_(this.#b, b);
    this.#waiting.push([a, b]);
    this.#waitingRows += a.nRows;
    this.#waitingPairs += nPairs(a) + nPairs(b);
    if (this.#waitingRows >= BLOCK_ROWS || this.#waitingPairs >= BLOCK_PAIRS) await this.#sumWaiting();
  }

  /** The sums of all rows. Nothing may be added afterwards. */
  async finish(): Promise<PairSums> {
    await this.#sumWaiting();
    await this.#summing;
    return new PairSums(this.#table, this.#a, this.#b, this.#nTokens);
  }

  /** Have what waits summed, once the block before it is. */
  async #sumWaiting(): Promise<void> {
    const [a, b] = [0, 1].map((side) => joined(this.#waiting.map((codes) => codes[side])));
    this.#waiting = [];
    this.#waitingRows = 0;
    this.#waitingPairs = 0;
    await this.#summing;
    if (a.nRows === 0) return;
    this.#summing = this.#sum(a, b);
    this.#summing.catch(() => {}); // thrown when it is waited for
  }

  async #sum(a: Codes, b: Codes): Promise<void> {
    await this.#table.add(a, b);
    this.#backend.release([a, b].flatMap((codes) => [codes.rowPointers, codes.latentIndices, codes.values]));
  }
}

/** Of the rows that codes have, which may be some of those that their arrays are of. */
function nPairs({ rowPointers, nRows }: Codes): number {
  return rowPointers[nRows] - rowPointers[0];
}

/** Codes one after the other. */
function joined(parts: readonly Codes[]): Codes {
  const nRows = parts.reduce((sum, part) => sum + part.nRows, 0);
  const total = parts.reduce((sum, part) => sum + nPairs(part), 0);
  const rowPointers = new Uint32Array(nRows + 1);
  const [latentIndices, values] = [new Uint32Array(total), new Float32Array(total)];
  let [row, pair] = [0, 0];
  for (const part of parts) {
    const from = part.rowPointers[0];
    latentIndices.set(part.latentIndices.subarray(from, from + nPairs(part)), pair);
    values.set(part.values.subarray(from, from + nPairs(part)), pair);
    for (let r = 0; r < part.nRows; r++) rowPointers[++row] = pair + part.rowPointers[r + 1] - from;
    pair += nPairs(part);
  }
  return { nRows, dSae: parts[0]?.dSae ?? 0, rowPointers, latentIndices, values };
}

function margin(d: number): Margin {
  return { sums: new Float64Array(d), squares: new Float64Array(d), fired: new Float64Array(d) };
}

function addMargin_(
  { sums, squares, fired }: Margin,
  { latentIndices, values, rowPointers, nRows }: Codes,
): void {
  for (let i = rowPointers[0]; i < rowPointers[nRows]; i++) {
    const column = latentIndices[i];
    sums[column] += values[i];
    squares[column] += values[i] * values[i];
    fired[column]++;
  }
}
