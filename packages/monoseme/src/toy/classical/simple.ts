import { EigenvalueDecomposition, Matrix } from 'ml-matrix';
import type { Random } from '../../random/index.ts';
import { normalizeRows_ } from '../directions.ts';

/** Different rows of the data as directions, [dSae, width]; rows of zeros are passed over. x is centred. */
export function dataPoints(x: Float32Array, width: number, dSae: number, random: Random): Float32Array {
  const directions = new Float32Array(dSae * width);
  let filled = 0;
  for (const row of random.permutation(x.length / width)) {
    if (filled === dSae) break;
    const point = x.subarray(row * width, (row + 1) * width);
    if (point.some((value) => value !== 0)) directions.set(point, filled++ * width);
  }
  normalizeRows_(directions, width);
  return directions;
}

/** Eigenvectors of the covariance of centred rows, those of the largest variance first, and their variances. */
function principalAxes(x: Float32Array, width: number): { axes: Matrix; variances: number[] } {
  const covariance = Matrix.zeros(width, width);
  for (let start = 0; start < x.length; start += width) {
    for (let i = 0; i < width; i++)
      for (let k = 0; k <= i; k++) covariance.set(i, k, covariance.get(i, k) + x[start + i] * x[start + k]);
  }
  const nRows = x.length / width;
  for (let i = 0; i < width; i++) {
    for (let k = 0; k <= i; k++) {
      covariance.set(i, k, covariance.get(i, k) / nRows);
      covariance.set(k, i, covariance.get(i, k));
    }
  }
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(covariance, {
    assumeSymmetric: true,
  });
  const order = realEigenvalues.map((_, i) => i).sort((a, b) => realEigenvalues[b] - realEigenvalues[a]);
  return {
    axes: new Matrix(order.map((column) => eigenvectorMatrix.getColumn(column))),
    variances: order.map((column) => realEigenvalues[column]),
  };
}

/** Principal components, each with both signs, [2 · width, width]. */
export function pca(x: Float32Array, width: number): Float32Array {
  return bothSigns(principalAxes(x, width).axes);
}

/**
 * FastICA (Hyvärinen 1999): all components at once, with tanh, on whitened data; the columns of the mixing matrix, each
 * with both signs, [2 · width, width].
 *
 * W ← E[g(Wz) zᵀ] − diag(E[g′(Wz)]) W, then W ← (W Wᵀ)^−½ W, until no row turns any more.
 */
export function fastIca(x: Float32Array, width: number, random: Random, iterations = 60): Float32Array {
  const { axes, variances } = principalAxes(x, width);
  // Directions without variance cannot be whitened, and hold nothing.
  const kept = variances.filter((variance) => variance > 1e-10 * variances[0]).length;
  const scales = variances.slice(0, kept).map(Math.sqrt);
  const basis = axes.subMatrix(0, kept - 1, 0, width - 1);
  const rows = new Matrix(
    Array.from({ length: x.length / width }, (_, b) => x.subarray(b * width, (b + 1) * width)),
  );
  const z = rows.mmul(basis.transpose());
  for (let column = 0; column < kept; column++) z.mulColumn(column, 1 / scales[column]);
  let unmixing = orthogonalized(
    new Matrix(Array.from({ length: kept }, () => Array.from({ length: kept }, () => random.normal()))),
  );
  for (let iteration = 0; iteration < iterations; iteration++) {
    const outputs = z.mmul(unmixing.transpose()).apply(function (this: Matrix, b, j) {
      this.set(b, j, Math.tanh(this.get(b, j)));
    });
    const slopes = outputs.mean('column').map((_, j) => {
      let sum = 0;
      for (let b = 0; b < outputs.rows; b++) sum += 1 - outputs.get(b, j) ** 2;
      return sum / outputs.rows;
    });
    const pushed = outputs.transpose().mmul(z).div(outputs.rows);
    for (let j = 0; j < kept; j++)
      for (let i = 0; i < kept; i++) pushed.set(j, i, pushed.get(j, i) - slopes[j] * unmixing.get(j, i));
    const next = orthogonalized(pushed);
    const turned = next.mmul(unmixing.transpose()).diagonal();
    unmixing = next;
    if (turned.every((cosine) => Math.abs(Math.abs(cosine) - 1) < 1e-5)) break;
  }
  // Rows of W times the inverse whitening: x = Σ_j s_j (W_j S basis).
  for (let column = 0; column < kept; column++) unmixing.mulColumn(column, scales[column]);
  return bothSigns(unmixing.mmul(basis));
}

/** (W Wᵀ)^−½ W */
function orthogonalized(matrix: Matrix): Matrix {
  const { realEigenvalues, eigenvectorMatrix } = new EigenvalueDecomposition(
    matrix.mmul(matrix.transpose()),
    { assumeSymmetric: true },
  );
  const scaled = eigenvectorMatrix.clone();
  realEigenvalues.forEach((value, column) => scaled.mulColumn(column, 1 / Math.sqrt(value)));
  return scaled.mmul(eigenvectorMatrix.transpose()).mmul(matrix);
}

function bothSigns(directions: Matrix): Float32Array {
  const flat = directions.to1DArray();
  const rows = Float32Array.from([...flat, ...flat.map((value) => -value)]);
  normalizeRows_(rows, directions.columns);
  return rows;
}
