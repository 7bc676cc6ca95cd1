import type { ActivationSource } from '../activations/index.ts';
import {
  type Architecture,
  normalizedRows,
  type RowKind,
  type RowNormalization,
  type ScaledColumns,
} from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import type { TrainOptions } from './options.ts';

/** The columns of one hook point, with the factor by which training multiplies them. */
interface HookColumns extends ScaledColumns {
  /** √width / E‖x‖ of its activations, also where training does not multiply by it. */
  readonly ownScale: number;
}

/** The columns of a row of activations that belong together. */
export interface RowLayout {
  /** What the encoder reads: one hook point, or all those of a crosscoder. */
  readonly inputs: readonly HookColumns[];
  /** What is reconstructed: the same array, or the hook point after the input in the row (transcoders). */
  readonly outputs: readonly HookColumns[];
  /** Rows are normalised one by one before they are scaled. */
  readonly normalization?: RowNormalization;
}

/**
 * How an architecture reads the rows of a source.
 *
 * @param ownScales √width / E‖x‖ of each hook point, 1 when absent
 * @param normalize as the options of training have it: with `expected-norm` these are the factors of training
 * @throws {MonosemeError} ERR_MISMATCH when the source holds more or fewer hook points than the architecture reads
 */
export function rowLayout(
  source: Pick<ActivationSource, 'dIn' | 'widths'>,
  architecture: Architecture,
  ownScales: readonly number[] = [],
  normalize: TrainOptions['normalize'] = 'expected-norm',
): RowLayout {
  const widths = source.widths ?? [source.dIn];
  expectHookPoints(architecture, widths.length);
  const columns = widths.map((width, part) => {
    const ownScale = ownScales[part] ?? 1;
    return { width, ownScale, scale: normalize === 'expected-norm' ? ownScale : 1 };
  });
  if (architecture.rows === 'input-and-target')
    return { inputs: columns.slice(0, 1), outputs: columns.slice(1) };
  return {
    inputs: columns,
    outputs: columns,
    ...(normalize === 'layer-norm' && { normalization: 'layer_norm' }),
  };
}

/** How many hook points each kind of rows holds, and how they are given. */
const HOOK_POINTS: Readonly<Record<RowKind, HookPointCount>> = {
  activations: {
    fits: (n) => n === 1,
    reads: 'one hook point',
    advice: 'Give one --hook or --store, or choose a transcoder or crosscoder.',
  },
  'input-and-target': {
    fits: (n) => n === 2,
    reads: 'an input and a target hook point',
    advice: 'Give --hook and --target-hook, or --store and --target-store.',
  },
  sources: {
    fits: (n) => n > 1,
    reads: 'several hook points',
    advice: 'Give --hook or --store more than once.',
  },
};

interface HookPointCount {
  readonly fits: (n: number) => boolean;
  readonly reads: string;
  readonly advice: string;
}

/** @throws {MonosemeError} ERR_MISMATCH when an architecture reads more or fewer hook points */
export function expectHookPoints({ name, rows = 'activations' }: Architecture, n: number): void {
  const { fits, reads, advice } = HOOK_POINTS[rows];
  if (fits(n)) return;
  throw new MonosemeError(
    'ERR_MISMATCH',
    `architecture is ${name}, which reads ${reads}, but the activations are of ${n}.`,
    advice,
  );
}

export function rowParts({ inputs, outputs }: RowLayout): readonly HookColumns[] {
  return inputs === outputs ? inputs : [...inputs, ...outputs];
}

/**
 * In place: the rows are normalised where that is asked for, their columns multiplied by the factors, and where what is read
 * is not what is reconstructed, the inputs of all rows come before their targets.
 */
export function prepareRows_(rows: Float32Array, layout: RowLayout): Float32Array {
  const parts = rowParts(layout);
  const { normalization, inputs, outputs } = layout;
  if (normalization) rows.set(normalizedRows(rows, totalWidth(parts), normalization));
  if (parts.some(({ scale }) => scale !== 1)) multiply_(rows, parts);
  if (inputs !== outputs) bringSidesTogether_(rows, totalWidth(inputs), totalWidth(outputs));
  return rows;
}

function multiply_(rows: Float32Array, parts: readonly ScaledColumns[]): void {
  for (let at = 0; at < rows.length;) {
    for (const { width, scale } of parts) {
      for (const end = at + width; at < end; at++) rows[at] *= scale;
    }
  }
}

/**
 * [x_1 y_1 x_2 y_2 …] becomes [x_1 x_2 … y_1 y_2 …], without a second array: cycle by cycle of this permutation, in pieces
 * of the largest width that divides both.
 */
function bringSidesTogether_(rows: Float32Array, dIn: number, dOut: number): void {
  const piece = commonDivisor(dIn, dOut);
  const [ofX, ofY] = [dIn / piece, dOut / piece];
  const nOfX = (rows.length / (dIn + dOut)) * ofX;
  const sourceOf = (place: number): number => {
    const [width, offset, at] = place < nOfX ? [ofX, 0, place] : [ofY, ofX, place - nOfX];
    return Math.floor(at / width) * (ofX + ofY) + offset + (at % width);
  };
  const isDone = new Uint8Array(rows.length / piece);
  const first = new Float32Array(piece);
  for (let start = isDone.indexOf(0); start >= 0; start = isDone.indexOf(0, start)) {
    first.set(rows.subarray(start * piece, (start + 1) * piece));
    let to = start;
    for (let from = sourceOf(to); from !== start; from = sourceOf(to)) {
      rows.copyWithin(to * piece, from * piece, (from + 1) * piece);
      isDone[to] = 1;
      to = from;
    }
    rows.set(first, to * piece);
    isDone[to] = 1;
  }
}

function commonDivisor(a: number, b: number): number {
  return b === 0 ? a : commonDivisor(b, a % b);
}

/** The two sides of prepared rows: the same array where what is read is what is reconstructed. */
export function sidesOf(
  rows: Float32Array,
  { inputs, outputs }: RowLayout,
): { x: Float32Array; target: Float32Array } {
  if (inputs === outputs) return { x: rows, target: rows };
  const dIn = totalWidth(inputs);
  const end = (rows.length / (dIn + totalWidth(outputs))) * dIn;
  return { x: rows.subarray(0, end), target: rows.subarray(end) };
}

export function totalWidth(parts: readonly ScaledColumns[]): number {
  return parts.reduce((sum, { width }) => sum + width, 0);
}
