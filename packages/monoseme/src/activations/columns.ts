/**
 * Rows of several hook points side by side: row b is [x^1_b | x^2_b | …].
 *
 * @param parts f32 [rows, widths[i]] each
 * @returns [rows, Σ widths], a new array; the part itself where it is the only one
 */
export function sideBySide(parts: readonly Float32Array[], widths: readonly number[]): Float32Array {
  if (parts.length === 1) return parts[0];
  const nRows = parts[0].length / widths[0];
  const rows = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  for (let row = 0, at = 0; row < nRows; row++) {
    for (const [i, width] of widths.entries()) {
      rows.set(parts[i].subarray(row * width, (row + 1) * width), at);
      at += width;
    }
  }
  return rows;
}

/** The columns of one of the parts of rows [rows, Σ widths]: [rows, widths[part]], a new array; all where it is the only one. */
export function columnsOf(rows: Float32Array, widths: readonly number[], part: number): Float32Array {
  if (widths.length === 1) return rows;
  const total = widths.reduce((sum, width) => sum + width, 0);
  const start = widths.slice(0, part).reduce((sum, width) => sum + width, 0);
  const width = widths[part];
  const columns = new Float32Array((rows.length / total) * width);
  for (let from = start, to = 0; to < columns.length; from += total, to += width)
    columns.set(rows.subarray(from, from + width), to);
  return columns;
}
