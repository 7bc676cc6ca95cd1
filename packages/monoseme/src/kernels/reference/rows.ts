import { checkCenter, checkColumnSums } from '../check.ts';
import type { CenterInput, ColumnSumsInput } from '../contract.ts';

/** See `KernelBackend.center`. */
export function center(input: CenterInput): void {
  checkCenter(input);
  const { rows, offset } = input;
  for (let i = 0; i < rows.length; i++) rows[i] -= offset[i % offset.length];
}

/** See `KernelBackend.columnSums`. */
export function columnSums(input: ColumnSumsInput): Float64Array {
  checkColumnSums(input);
  const { rows, width } = input;
  const sums = new Float64Array(width);
  for (let i = 0; i < rows.length; i++) sums[i % width] += rows[i];
  return sums;
}
