import type { ActivationSource } from '../activations/index.ts';
import type { Dictionary } from '../dictionary/index.ts';
import { Random } from '../random/index.ts';

function control(name: string, W: Float32Array, b_enc: Float32Array, dIn: number): Dictionary {
  const dSae = W.length / dIn;
  return {
    config: {
      ...{ architecture: 'standard', dIn, dSae, hookName: '', modelName: name, contextSize: undefined },
      ...{ applyBDecToInput: false, metadata: {} },
    },
    weights: { W_enc: W, W_dec: W, b_enc, b_dec: new Float32Array(dIn) },
  };
}

/** The elements of the activation themselves, where they are positive: neurons, as if they were latents. */
export function neurons(dIn: number): Dictionary {
  const W = Float32Array.from({ length: dIn * dIn }, (_, i) => (i % (dIn + 1) === 0 ? 1 : 0));
  return control('neurons', W, new Float32Array(dIn), dIn);
}

/** Random unit directions (normal, scaled to length 1) about the origin, where the product is positive. */
export function randomDirections(dIn: number, n: number, seed: number): Dictionary {
  const random = new Random(seed);
  const W = new Float32Array(n * dIn).map(() => random.normal());
  scaleRows(W, dIn);
  return control('random directions', W, new Float32Array(n), dIn);
}

/**
 * Principal components of the activations about their mean, both directions of each: 2·dIn latents, the strongest
 * first.
 *
 * Eigenvectors of the covariance of at most `maxRows` rows, by cyclic Jacobi rotations; cost about 10·dIn³.
 */
export async function principalComponents(
  source: ActivationSource,
  options: { maxRows?: number; signal?: AbortSignal } = {},
): Promise<Dictionary> {
  const { maxRows = 16_384, signal } = options;
  const { dIn } = source;
  const sums = new Float64Array(dIn);
  const products = new Float64Array(dIn * dIn);
  let n = 0;
  for (let chunk = 0; chunk < source.nChunks && n < maxRows; chunk++) {
    const x = await source.readChunk(chunk, signal);
    for (let start = 0; start < x.length; start += dIn, n++) addProducts(x, start, sums, products);
  }
  for (let i = 0; i < dIn; i++) {
    for (let j = 0; j < dIn; j++)
      products[i * dIn + j] = products[i * dIn + j] / n - (sums[i] * sums[j]) / n ** 2;
  }
  const vectors = eigenvectors(products, dIn);
  const W = new Float32Array(2 * dIn * dIn);
  vectors.forEach((vector, i) => {
    W.set(vector, 2 * i * dIn);
    W.set(
      vector.map((value) => -value),
      (2 * i + 1) * dIn,
    );
  });
  const b_enc = Float32Array.from({ length: 2 * dIn }, (_, j) => {
    let product = 0;
    for (let i = 0; i < dIn; i++) product -= (W[j * dIn + i] * sums[i]) / n;
    return product;
  });
  return control('principal components', W, b_enc, dIn);
}

function addProducts(x: Float32Array, start: number, sums: Float64Array, products: Float64Array): void {
  const d = sums.length;
  for (let i = 0; i < d; i++) {
    const value = x[start + i];
    sums[i] += value;
    if (value === 0) continue;
    for (let j = 0; j < d; j++) products[i * d + j] += value * x[start + j];
  }
}

/** Eigenvectors of a symmetric matrix, by falling eigenvalue. */
export function eigenvectors(matrix: Float64Array, d: number): Float64Array[] {
  const A = matrix.slice();
  const V = new Float64Array(d * d);
  for (let i = 0; i < d; i++) V[i * d + i] = 1;
  const scale = A.reduce((sum, value) => sum + value * value, 0);
  for (let sweep = 0; sweep < 30; sweep++) {
    let off = 0;
    for (let p = 0; p < d; p++) for (let q = p + 1; q < d; q++) off += A[p * d + q] ** 2;
    if (off <= 1e-18 * scale) break;
    for (let p = 0; p < d; p++) for (let q = p + 1; q < d; q++) rotate(A, V, d, p, q);
  }
  const order = Array.from({ length: d }, (_, i) => i).sort((a, b) => A[b * d + b] - A[a * d + a]);
  return order.map((row) => V.slice(row * d, (row + 1) * d));
}

/** One Jacobi rotation that makes element (p, q) zero; rows of V turn with it. */
function rotate(A: Float64Array, V: Float64Array, d: number, p: number, q: number): void {
  const apq = A[p * d + q];
  if (apq === 0) return;
  const theta = (A[q * d + q] - A[p * d + p]) / (2 * apq);
  const t = (theta >= 0 ? 1 : -1) / (Math.abs(theta) + Math.sqrt(theta * theta + 1));
  const c = 1 / Math.sqrt(t * t + 1);
  const s = t * c;
  for (let k = 0; k < d; k++) {
    const [x, y] = [A[k * d + p], A[k * d + q]];
    A[k * d + p] = c * x - s * y;
    A[k * d + q] = s * x + c * y;
  }
  for (let k = 0; k < d; k++) {
    const [x, y] = [A[p * d + k], A[q * d + k]];
    A[p * d + k] = c * x - s * y;
    A[q * d + k] = s * x + c * y;
    const [v, w] = [V[p * d + k], V[q * d + k]];
    V[p * d + k] = c * v - s * w;
    V[q * d + k] = s * v + c * w;
  }
}

function scaleRows(W: Float32Array, width: number): void {
  for (let start = 0; start < W.length; start += width) {
    let square = 0;
    for (let i = start; i < start + width; i++) square += W[i] * W[i];
    for (let i = start; i < start + width; i++) W[i] /= Math.sqrt(square);
  }
}
