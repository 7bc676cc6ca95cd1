/**
 * An axis: a size, or how it follows from the input's. `batch*8` is eight entries for each sample of the batch, one
 * sample after the other; `?` is any other dependence.
 */
export type Axis = number | 'batch' | 'sequence' | 'batch*sequence' | `batch*${number}` | '?';

/** Element type and axes of a tensor of the graph. `type` is ONNX Runtime's name, as in `float32`. */
export interface TensorInfo {
  type: string;
  shape: Axis[];
}

/** [batch, sequence] of the two small runs from which axes are learnt. */
const PROBES = [
  [2, 3],
  [3, 5],
] as const;

/**
 * Tell what each axis is from the sizes that it had in two runs with different batch and sequence. Sizes that
 * stayed the same are fixed; the others are told by their pair, and the probes are chosen so that pairs
 * differ. An axis that the graph itself fixes (batch 1, say) is known by its place.
 */
export function axesOf(
  first: readonly number[],
  second: readonly number[],
  fixed: { batch?: number; sequence?: number } = {},
): Axis[] {
  const [[b1, s1], [b2, s2]] = probeSizes(fixed);
  return first.map((a, i): Axis => {
    const b = second[i];
    if (a === b) {
      if (i === 0 && fixed.batch === a) return 'batch';
      return i === 1 && fixed.sequence === a ? 'sequence' : a;
    }
    if (a === b1 && b === b2) return 'batch';
    if (a === s1 && b === s2) return 'sequence';
    if (a === b1 * s1 && b === b2 * s2) return 'batch*sequence';
    return i === 0 && a > 0 && a % b1 === 0 && a / b1 === b / b2 ? `batch*${a / b1}` : '?';
  });
}

/** The probes, with the sizes that the graph fixes in place. */
export function probeSizes(fixed: { batch?: number; sequence?: number }): [number, number][] {
  return PROBES.map(([batch, sequence]) => [fixed.batch ?? batch, fixed.sequence ?? sequence]);
}

/** Entries of an axis for each sample of the batch: 1, k for `batch*k`; undefined where it is no axis of the batch. */
export function perSample(axis: Axis | undefined): number | undefined {
  if (axis === 'batch') return 1;
  const [, times] = typeof axis === 'string' ? (/^batch\*(\d+)$/.exec(axis) ?? []) : [];
  return times === undefined ? undefined : Number(times);
}

/**
 * Width of a row when the tensor is one row per token in the order of the tokens: [batch, sequence, …sizes]
 * or [batch·sequence, …sizes]. Undefined for any other layout.
 */
export function rowWidth(shape: readonly Axis[]): number | undefined {
  const joined = shape[0] === 'batch*sequence';
  if (!joined && !(shape[0] === 'batch' && shape[1] === 'sequence')) return undefined;
  const rest = shape.slice(joined ? 1 : 2);
  if (rest.length === 0 || !rest.every((axis) => typeof axis === 'number')) return undefined;
  return rest.reduce((product: number, size) => product * (size as number), 1);
}
