import { minimize } from './minimize.ts';

export type ProbeKind = 'logistic' | 'ridge';

/** A linear probe: an example is of the class when ⟨weights, x⟩ + bias > 0. */
export interface Probe {
  /** [width] */
  readonly weights: Float64Array;
  readonly bias: number;
}

export interface ProbeData {
  /** [n, width] */
  readonly x: Float32Array;
  readonly width: number;
  /** Rows of x that are used, and for each whether it is of the class. */
  readonly rows: Uint32Array;
  readonly isPositive: Uint8Array;
  /** Examples of the class and others count equally in sum, however many there are of each. */
  readonly balanced?: boolean;
}

/**
 * Fit a linear probe; the bias is not penalised.
 *
 * Formula  logistic: ½‖w‖² + Σ_i c_i log(1 + exp(−y_i z_i)); ridge: ½‖w‖² + ½ Σ_i c_i (y_i − z_i)², with z = ⟨w, x⟩ + b,
 *          y = ±1, and c = 1 or, balanced, n / (2 · number of the example's side)
 * Source   scikit-learn's LogisticRegression (C = 1) and RidgeClassifier (alpha = 1), which SAEBench and sae-probes use
 */
export function fitProbe(
  kind: ProbeKind,
  { x, width, rows, isPositive, balanced = false }: ProbeData,
): Probe {
  const n = rows.length;
  const nPositive = isPositive.reduce((sum, one) => sum + one, 0);
  const [other, own] = balanced ? [n / (2 * (n - nPositive)), n / (2 * nPositive)] : [1, 1];
  const loss = kind === 'logistic' ? logisticLoss : squaredLoss;
  const point = minimize(width + 1, (w, gradient) => {
    let value = 0;
    gradient.fill(0);
    for (let i = 0; i < n; i++) {
      const start = rows[i] * width;
      let z = w[width];
      for (let d = 0; d < width; d++) z += w[d] * x[start + d];
      const weight = isPositive[i] ? own : other;
      const [part, slope] = loss(z, isPositive[i] ? 1 : -1);
      value += weight * part;
      const factor = weight * slope;
      for (let d = 0; d < width; d++) gradient[d] += factor * x[start + d];
      gradient[width] += factor;
    }
    // Divided by n, so that one tolerance does for every number of examples.
    for (let d = 0; d < width; d++) {
      value += 0.5 * w[d] * w[d];
      gradient[d] = (gradient[d] + w[d]) / n;
    }
    gradient[width] /= n;
    return value / n;
  });
  return { weights: point.slice(0, width), bias: point[width] };
}

/** The loss and its derivative by z. */
function logisticLoss(z: number, y: number): [number, number] {
  const margin = y * z;
  const value = margin > 0 ? Math.log1p(Math.exp(-margin)) : Math.log1p(Math.exp(margin)) - margin;
  return [value, -y / (1 + Math.exp(margin))];
}

function squaredLoss(z: number, y: number): [number, number] {
  return [0.5 * (z - y) ** 2, z - y];
}

/** ⟨weights, row⟩ + bias of row number `row` of x [n, width]. */
export function probeScore({ weights, bias }: Probe, x: Float32Array, row: number): number {
  let z = bias;
  for (let d = 0, at = row * weights.length; d < weights.length; d++) z += weights[d] * x[at + d];
  return z;
}
