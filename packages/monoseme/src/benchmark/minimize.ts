const MEMORY = 10;
const SUFFICIENT_DECREASE = 1e-4;
const MAX_HALVINGS = 40;

/** The value at a point; writes the gradient there into `gradient`. */
export type Differentiable = (point: Float64Array, gradient: Float64Array) => number;

/**
 * The lowest point of a smooth convex function, from 0: L-BFGS with ten pairs and backtracking.
 * Source  Nocedal and Wright 2006, algorithms 7.4 and 3.1
 *
 * @returns the point where no element of the gradient exceeds `tolerance`, or the lowest one after `maxSteps`
 */
export function minimize(
  size: number,
  f: Differentiable,
  { maxSteps = 1000, tolerance = 1e-7 }: { maxSteps?: number; tolerance?: number } = {},
): Float64Array {
  let point = new Float64Array(size);
  let gradient = new Float64Array(size);
  let value = f(point, gradient);
  const pairs: { s: Float64Array; y: Float64Array; scale: number }[] = [];
  for (let step = 0; step < maxSteps && largest(gradient) > tolerance; step++) {
    const direction = descentDirection(gradient, pairs);
    const slope = dot(direction, gradient);
    const next = new Float64Array(size);
    const nextGradient = new Float64Array(size);
    let nextValue = Infinity;
    let rate = pairs.length === 0 ? Math.min(1, 1 / Math.sqrt(dot(gradient, gradient))) : 1;
    for (let halving = 0; halving < MAX_HALVINGS; halving++, rate /= 2) {
      for (let i = 0; i < size; i++) next[i] = point[i] + rate * direction[i];
      nextValue = f(next, nextGradient);
      if (nextValue <= value + SUFFICIENT_DECREASE * rate * slope) break;
    }
    // Rounding leaves nothing to gain.
    if (!(nextValue < value)) break;
    const s = next.map((x, i) => x - point[i]);
    const y = nextGradient.map((g, i) => g - gradient[i]);
    const curvature = dot(s, y);
    if (curvature > 0) pairs.push({ s, y, scale: 1 / curvature });
    if (pairs.length > MEMORY) pairs.shift();
    [point, gradient, value] = [next, nextGradient, nextValue];
  }
  return point;
}

/** −H g with the approximate inverse Hessian of the pairs: the two loops of L-BFGS. */
function descentDirection(
  gradient: Float64Array,
  pairs: readonly { s: Float64Array; y: Float64Array; scale: number }[],
): Float64Array {
  const direction = gradient.map((g) => -g);
  const shares: number[] = [];
  for (const { s, y, scale } of pairs.toReversed()) {
    const share = scale * dot(s, direction);
    shares.push(share);
    add(direction, -share, y);
  }
  const last = pairs.at(-1);
  if (last) {
    const factor = 1 / (last.scale * dot(last.y, last.y));
    for (let i = 0; i < direction.length; i++) direction[i] *= factor;
  }
  for (const { s, y, scale } of pairs) add(direction, shares.pop()! - scale * dot(y, direction), s);
  return direction;
}

function add(target: Float64Array, factor: number, source: Float64Array): void {
  for (let i = 0; i < target.length; i++) target[i] += factor * source[i];
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i] * b[i];
  return sum;
}

function largest(values: Float64Array): number {
  let most = 0;
  for (const value of values) most = Math.max(most, Math.abs(value));
  return most;
}
