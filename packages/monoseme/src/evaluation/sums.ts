import type { Codes } from '../kernels/contract.ts';

/** What is summed over tokens: the columns of a row of sums. Legend: x an activation, x̂ its reconstruction. */
export const COLUMNS = [
  'tokens',
  'l0',
  'l1',
  /** ‖x − x̂‖² */
  'squaredErrors',
  /** ‖x‖², ‖x̂‖², ⟨x, x̂⟩ */
  'squares',
  'reconstructionSquares',
  'products',
  /** cosine of x and x̂; ‖x̂‖ / ‖x‖. Nothing is added where x = 0. */
  'cosines',
  'normRatios',
  /** ‖x − reference‖² */
  'deviations',
  /** Positions at which the model was run on edited activations. */
  'downstream',
  /** Those of them with a next token, and the losses there in nats. */
  'predictions',
  'loss',
  'lossReconstructed',
  'lossZeroAblated',
  'lossMeanAblated',
  /** KL(original ‖ edited) in nats, and 1 where the likeliest token stays the same, at every downstream position. */
  'klReconstructed',
  'klZeroAblated',
  'klMeanAblated',
  'agreeReconstructed',
  'agreeZeroAblated',
  'agreeMeanAblated',
] as const;

export type Column = (typeof COLUMNS)[number];
export const COLUMN = Object.fromEntries(COLUMNS.map((name, i) => [name, i])) as Record<Column, number>;
export const N_COLUMNS = COLUMNS.length;

/** A row of sums by name. */
export type Sums = Readonly<Record<Column, number>>;

/** The sums of one row of a table [n, N_COLUMNS], or of all its rows together. */
export function sumsOf(table: Float64Array, row?: number): Sums {
  const total = new Float64Array(N_COLUMNS);
  const [first, end] = row === undefined ? [0, table.length / N_COLUMNS] : [row, row + 1];
  for (let r = first; r < end; r++) addRow(total, 0, table, r);
  return Object.fromEntries(COLUMNS.map((name, i) => [name, total[i]])) as Record<Column, number>;
}

/** Add row `from` of one table to row `to` of another. */
export function addRow(target: Float64Array, to: number, source: Float64Array, from: number): void {
  for (let i = 0; i < N_COLUMNS; i++) target[to * N_COLUMNS + i] += source[from * N_COLUMNS + i];
}

/**
 * Write what one token adds to the reconstruction columns into `row`.
 *
 * @param x rows [nRows, width] of activations, `reconstructions` the same of x̂; the token is number `token` of them
 * @param reference [width]
 */
export function reconstructionRow(
  row: Float64Array,
  x: Float32Array,
  reconstructions: Float32Array,
  token: number,
  reference: Float32Array,
): void {
  const width = reference.length;
  const start = token * width;
  let [xx, rr, xr, deviation] = [0, 0, 0, 0];
  for (let i = 0; i < width; i++) {
    const a = x[start + i];
    const r = reconstructions[start + i];
    const d = a - reference[i];
    xx += a * a;
    rr += r * r;
    xr += a * r;
    deviation += d * d;
  }
  row[COLUMN.tokens] = 1;
  row[COLUMN.squares] = xx;
  row[COLUMN.reconstructionSquares] = rr;
  row[COLUMN.products] = xr;
  row[COLUMN.squaredErrors] = Math.max(0, xx - 2 * xr + rr);
  row[COLUMN.cosines] = xx > 0 && rr > 0 ? xr / Math.sqrt(xx * rr) : 0;
  row[COLUMN.normRatios] = xx > 0 ? Math.sqrt(rr / xx) : 0;
  row[COLUMN.deviations] = deviation;
}

/** Write the number and the sum of a token's latent activations into `row`. */
export function codesRow(row: Float64Array, codes: Codes, token: number): void {
  const [first, end] = [codes.rowPointers[token], codes.rowPointers[token + 1]];
  let sum = 0;
  for (let pair = first; pair < end; pair++) sum += codes.values[pair];
  row[COLUMN.l0] = end - first;
  row[COLUMN.l1] = sum;
}
