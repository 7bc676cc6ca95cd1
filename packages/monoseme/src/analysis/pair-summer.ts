import { MonosemeError } from '../errors.ts';
import type { Codes, KernelBackend } from '../kernels/contract.ts';
import { CodesBlock } from './codes-block.ts';
import { type Margin, PairSums } from './pair-sums.ts';
import { DensePairTable, type PairTable, SparsePairTable } from './pair-table.ts';

/** Pairs whose sums stand in one table (up to four numbers a pair, 768 MiB at most); more take a sparse table. */
const DENSE_PAIRS = 2 ** 24 + 2 ** 23;
/** Slots of the sparse table: 40 bytes each, 1.25 GiB at most. */
const MAX_SLOTS = 2 ** 25;
/** Tokens and active pairs that are summed together: the more, the fewer times the table goes through the cache. */
const BLOCK_ROWS = 2 ** 16;
const BLOCK_PAIRS = 2 ** 22;

/** Of the first and the second set of columns. */
type Sides = readonly [CodesBlock, CodesBlock];

/**
 * Makes the sums of products of two sets of sparse columns over a stream of tokens: latents with latents, with neurons,
 * with proxies.
 *
 * Codes are kept for no longer than a block, and only pairs that are active together take part, so a token costs
 * the product of its two L0. Up to 25 million possible pairs stand in a dense table, summed by the kernels while the
 * caller makes the next block; beyond that, in a hash table that grows to 2²⁵ pairs and then drops the rarest.
 */
export class PairSummer {
  readonly #a: Margin;
  readonly #b: Margin;
  readonly #table: PairTable;
  #nTokens = 0;
  /** What was added since the last block. */
  #waiting: Sides;
  /** The block that is being summed, and then has room for the next. */
  #summed: Sides;
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
    this.#a = margin(dA);
    this.#b = margin(dB);
    this.#waiting = [new CodesBlock(dA), new CodesBlock(dB)];
    this.#summed = [new CodesBlock(dA), new CodesBlock(dB)];
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
   * Add rows of two sets of codes over the same tokens. They are copied, and summed later, many at once.
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
    const [ofA, ofB] = this.#waiting;
    ofA.add(a);
    ofB.add(b);
    if (ofA.nRows >= BLOCK_ROWS || ofA.nPairs + ofB.nPairs >= BLOCK_PAIRS) await this.#sumWaiting();
  }

  /** The sums of all rows. Nothing may be added afterwards. */
  async finish(): Promise<PairSums> {
    await this.#sumWaiting();
    await this.#summing;
    return new PairSums(this.#table, this.#a, this.#b, this.#nTokens);
  }

  /** Have what waits summed, once the block before it is. */
  async #sumWaiting(): Promise<void> {
    await this.#summing;
    [this.#waiting, this.#summed] = [this.#summed, this.#waiting];
    for (const side of this.#waiting) side.clear();
    const [a, b] = this.#summed.map((side) => side.codes());
    if (a.nRows === 0) return;
    this.#summing = this.#table.add(a, b);
    this.#summing.catch(() => {}); // thrown when it is waited for
  }
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
