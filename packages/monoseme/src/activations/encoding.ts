import { bytesPerElement, decodeFloats, type Dtype, encodeFloats } from '../tensor/index.ts';

/** Element types of stored activations: floats, or bytes with a scale a row. */
export type StoreDtype = Dtype | 'I8';

export const STORE_DTYPES: readonly StoreDtype[] = ['F32', 'F16', 'BF16', 'I8'];

/** Rows as they are stored: little-endian elements, and for I8 the scale of each row. */
export interface EncodedRows {
  data: Uint8Array;
  scales?: Float32Array;
}

const LARGEST = 127;

/** Bytes of one row, with its scale. */
export const bytesPerRow = (dtype: StoreDtype, dIn: number): number =>
  dtype === 'I8' ? dIn + 4 : dIn * bytesPerElement(dtype);

/**
 * Rows [n, dIn] in a store's element type, rounded to nearest.
 *
 * I8: q_ij = round(x_ij / s_i), ties away from zero upwards as Math.round, with s_i = max_j |x_ij| / 127 in f32; a row
 * of zeros has the scale 0. The largest error is s_i / 2, so a row with one large element stores the others coarsely.
 */
export function encodeRows(rows: Float32Array, dIn: number, dtype: StoreDtype): EncodedRows {
  if (dtype !== 'I8') return { data: encodeFloats(rows, dtype) };
  const scales = new Float32Array(rows.length / dIn);
  const codes = new Int8Array(rows.length);
  for (let row = 0, at = 0; row < scales.length; row++) {
    let largest = 0;
    for (let i = at; i < at + dIn; i++) largest = Math.max(largest, Math.abs(rows[i]));
    scales[row] = largest / LARGEST;
    const inverse = scales[row] === 0 ? 0 : 1 / scales[row];
    for (const end = at + dIn; at < end; at++)
      codes[at] = Math.max(-LARGEST, Math.min(LARGEST, Math.round(rows[at] * inverse)));
  }
  return { data: new Uint8Array(codes.buffer), scales };
}

/** The inverse of {@link encodeRows}: f32 [n, dIn]; a view of `data` where type and alignment allow. */
export function decodeRows({ data, scales }: EncodedRows, dIn: number, dtype: StoreDtype): Float32Array {
  if (dtype !== 'I8') return decodeFloats(data, dtype);
  const codes = new Int8Array(data.buffer, data.byteOffset, data.byteLength);
  const rows = new Float32Array(codes.length);
  for (let row = 0, at = 0; row < codes.length / dIn; row++) {
    const scale = scales![row];
    for (const end = at + dIn; at < end; at++) rows[at] = codes[at] * scale;
  }
  return rows;
}
