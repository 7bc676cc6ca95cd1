import type ort from 'onnxruntime-node';
import { OUTCOME } from './outcome-head.ts';
import type { Outcomes } from './outcomes.ts';
import type { SuffixBatch } from './suffix-batches.ts';

/** What the worker was asked about edited contexts. */
export interface AskedOutcomes {
  edited: Float32Array;
  contextSize: number;
  /** Rows of `edited` whose tokens are listed, and how many of them in each direction. */
  rows: Uint32Array;
  top: number;
}

/** Arrays for n edited contexts, to be filled. */
export function emptyOutcomes(n: number, { contextSize, rows, top }: AskedOutcomes): Outcomes {
  return {
    losses: new Float32Array(n * (contextSize - 1)),
    originalLosses: new Float32Array(n * (contextSize - 1)),
    divergences: new Float32Array(n * contextSize),
    agreements: new Uint8Array(n * contextSize),
    raised: new Uint32Array(rows.length * top),
    raisedBy: new Float32Array(rows.length * top),
    lowered: new Uint32Array(rows.length * top),
    loweredBy: new Float32Array(rows.length * top),
  };
}

/** Which of the asked rows are in a call of the suffix, and where in it they and their originals stand. */
export function listedRows(
  { rows, contextSize }: AskedOutcomes,
  { edits, originals }: SuffixBatch,
): { listed: number[]; rows: number[]; originalRows: number[] } {
  const rowOf = new Map([...edits.entries()].map(([row, edit]) => [edit, row]));
  const listed = [...rows.keys()].filter((i) => rowOf.has(Math.floor(rows[i] / contextSize)));
  const inCall = listed.map((i) => rowOf.get(Math.floor(rows[i] / contextSize))!);
  const place = (row: number, i: number) => row * contextSize + (rows[listed[i]] % contextSize);
  return { listed, rows: inCall.map(place), originalRows: inCall.map((row, i) => place(originals[row], i)) };
}

/** Copy what a call of the suffix says to the places of its edits. */
export function takeOutcomes(
  outcomes: Outcomes,
  found: Record<string, ort.Tensor>,
  { contextSize, top }: AskedOutcomes,
  { edits, originals }: SuffixBatch,
  listed: readonly number[],
): void {
  const logProbs = found[OUTCOME.logProbs].data as Float32Array;
  const divergences = found[OUTCOME.divergences].data as Float32Array;
  const agreements = found[OUTCOME.agreements].data as Uint8Array;
  const nTargets = contextSize - 1;
  edits.forEach((edit, row) => {
    if (edit < 0) return;
    for (let i = 0; i < nTargets; i++) {
      outcomes.losses[edit * nTargets + i] = -logProbs[row * nTargets + i];
      outcomes.originalLosses[edit * nTargets + i] = -logProbs[originals[row] * nTargets + i];
    }
    for (let i = 0; i < contextSize; i++) {
      // Rounding can take the divergence of equal distributions below 0.
      outcomes.divergences[edit * contextSize + i] = Math.max(0, divergences[row * contextSize + i]);
      outcomes.agreements[edit * contextSize + i] = agreements[row * contextSize + i];
    }
  });
  for (const list of ['raised', 'raisedBy', 'lowered', 'loweredBy'] as const) {
    const data = found[OUTCOME[list]].data as Float32Array | BigInt64Array;
    listed.forEach((i, from) => {
      for (let t = 0; t < top; t++) outcomes[list][i * top + t] = Number(data[from * top + t]);
    });
  }
}
