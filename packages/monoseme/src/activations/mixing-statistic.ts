/**
 * How well batches mix documents: of each batch, the share of rows that are from its most frequent document. Neighbouring
 * rows are alike, so a batch of few documents is a bad sample; perfectly mixed, the share is about that of the longest
 * document in the whole text.
 */
export class MixingStatistic {
  nBatches = 0;
  readonly #counts = new Map<number, number>();
  #rows = 0;
  #sumOfShares = 0;
  #sumOfDocuments = 0;
  #largest = 0;

  /** Count a row of the batch under way. */
  addRow(document: number): void {
    this.#counts.set(document, (this.#counts.get(document) ?? 0) + 1);
    this.#rows++;
  }

  /** End a batch; one of which no document is known does not count. */
  endBatch(): void {
    if (this.#rows === 0) return;
    let most = 0;
    for (const count of this.#counts.values()) most = Math.max(most, count);
    this.nBatches++;
    this.#sumOfShares += most / this.#rows;
    this.#largest = Math.max(this.#largest, most / this.#rows);
    this.#sumOfDocuments += this.#counts.size;
    this.#counts.clear();
    this.#rows = 0;
  }

  /** Undefined before the first batch: the share's mean and largest, and the mean number of documents. */
  get figures(): MixingFigures | undefined {
    if (this.nBatches === 0) return undefined;
    return {
      meanShare: this.#sumOfShares / this.nBatches,
      largestShare: this.#largest,
      meanDocuments: this.#sumOfDocuments / this.nBatches,
    };
  }
}

/** Shares are of a batch's rows, from its most frequent document. */
export interface MixingFigures {
  meanShare: number;
  largestShare: number;
  /** Documents of a batch. */
  meanDocuments: number;
}
