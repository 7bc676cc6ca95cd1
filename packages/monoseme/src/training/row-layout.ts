import type { ActivationSource } from '../activations/index.ts';
import {
  type Architecture,
  normalizedRows,
  type RowNormalization,
  type ScaledColumns,
} from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { Buffers } from '../tensor/index.ts';
import type { TrainOptions } from './options.ts';

/** The columns of a row of activations that belong together, with the factor by which training multiplies them. */
export interface RowLayout {
  /** What the encoder reads: one hook point, or all those of a crosscoder. */
  readonly inputs: readonly ScaledColumns[];
  /** What is reconstructed: the same array, or the hook point after the input in the row (transcoders). */
  readonly outputs: readonly ScaledColumns[];
  /** Rows are normalised one by one before they are scaled. */
  readonly normalization?: RowNormalization;
}

/**
 * How an architecture reads the rows of a source.
 *
 * @param scales factor of each hook point, 1 when absent
 * @param normalize as the options of training have it
 * @throws {MonosemeError} ERR_MISMATCH when the source holds more or fewer hook points than the architecture reads
 */
export function rowLayout(
  source: Pick<ActivationSource, 'dIn' | 'widths'>,
  architecture: Architecture,
  scales: readonly number[] = [],
  normalize?: TrainOptions['normalize'],
): RowLayout {
  const widths = source.widths ?? [source.dIn];
  const columns = widths.map((width, part) => ({ width, scale: scales[part] ?? 1 }));
  const { name, rows = 'activations' } = architecture;
  const refuse = (reads: string, advice: string) =>
    new MonosemeError(
      'ERR_MISMATCH',
      `architecture is ${name}, which reads ${reads}, but the activations are of ${widths.length}.`,
      advice,
    );
  if (rows === 'input-and-target') {
    if (columns.length !== 2)
      throw refuse('an input and a target hook point', 'Give --hook and --target-hook.');
    return { inputs: columns.slice(0, 1), outputs: columns.slice(1) };
  }
  if (rows === 'sources' && columns.length < 2)
    throw refuse('several hook points', 'Give --hook more than once.');
  if (rows === 'activations' && columns.length > 1)
    throw refuse('one hook point', 'Give one --hook, or choose a transcoder or crosscoder.');
  return {
    inputs: columns,
    outputs: columns,
    ...(normalize === 'layer-norm' && { normalization: 'layer_norm' }),
  };
}

export function rowParts({ inputs, outputs }: RowLayout): readonly ScaledColumns[] {
  return inputs === outputs ? inputs : [...inputs, ...outputs];
}

/** Normalise the rows where that is asked for, and multiply their columns by the factors, in place. */
export function prepareRows_(rows: Float32Array, layout: RowLayout): Float32Array {
  const parts = rowParts(layout);
  const { normalization } = layout;
  if (normalization) rows.set(normalizedRows(rows, totalWidth(parts), normalization));
  if (parts.every(({ scale }) => scale === 1)) return rows;
  for (let at = 0; at < rows.length;) {
    for (const { width, scale } of parts) {
      for (const end = at + width; at < end; at++) rows[at] *= scale;
    }
  }
  return rows;
}

/**
 * The two sides of rows: the same array where what is read is what is reconstructed, else copies.
 *
 * @param buffers where the copies go
 */
export function splitRows(
  rows: Float32Array,
  layout: RowLayout,
  buffers = new Buffers(),
): { x: Float32Array; target: Float32Array } {
  const { inputs, outputs } = layout;
  if (inputs === outputs) return { x: rows, target: rows };
  const dIn = totalWidth(inputs);
  const dOut = totalWidth(outputs);
  const nRows = rows.length / (dIn + dOut);
  const x = buffers.floats('inputs', nRows * dIn);
  const target = buffers.floats('targets', nRows * dOut);
  for (let row = 0; row < nRows; row++) {
    const start = row * (dIn + dOut);
    x.set(rows.subarray(start, start + dIn), row * dIn);
    target.set(rows.subarray(start + dIn, start + dIn + dOut), row * dOut);
  }
  return { x, target };
}

export function totalWidth(parts: readonly ScaledColumns[]): number {
  return parts.reduce((sum, { width }) => sum + width, 0);
}
