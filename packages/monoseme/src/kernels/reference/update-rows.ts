import { MonosemeError } from '../../errors.ts';
import { checkGradient, checkUpdateRows, corruptCodes } from '../check.ts';
import type { CodesByLatent, GradientInput, Moments, UpdateRowsInput } from '../contract.ts';

function expectPairs(input: GradientInput): void {
  for (const { byLatent } of [input, ...(input.also ?? [])]) expectInside(byLatent);
}

function expectInside({ nRows, dSae, latentPointers, rowIndices, pairIndices }: CodesByLatent): void {
  const inside =
    latentPointers[0] === 0 &&
    latentPointers.every((pointer, i) => i === dSae || pointer <= latentPointers[i + 1]) &&
    rowIndices.every((row) => row < nRows) &&
    pairIndices.every((pair) => pair < pairIndices.length);
  if (!inside) throw corruptCodes('byLatent holds a pointer, row or pair outside the batch.');
}

/** The latents that take part, ascending. */
function* latentsOf({ mask, byLatent }: GradientInput): Generator<number> {
  for (let latent = 0; latent < byLatent.dSae; latent++) if (mask?.[latent] !== 0) yield latent;
}

/** g = Σ over the latent's pairs of coefficient · row, and the pull, projected where the constraint says so. */
function gradientOf(input: GradientInput, latent: number, gradient: Float64Array): void {
  const { width, pull, constraint } = input;
  const weights = input.weights.subarray(latent * width, (latent + 1) * width);
  gradient.fill(0);
  for (const { byLatent, coefficients, rows } of [input, ...(input.also ?? [])]) {
    for (let i = byLatent.latentPointers[latent]; i < byLatent.latentPointers[latent + 1]; i++) {
      const coefficient = coefficients[byLatent.pairIndices[i]];
      const start = byLatent.rowIndices[i] * width;
      for (let c = 0; c < width; c++) gradient[c] += coefficient * rows[start + c];
    }
  }
  let c = 0;
  pull?.parts.forEach((part, s) => {
    const factor = pull.factors[latent * pull.parts.length + s];
    for (const end = c + part; c < end; c++) gradient[c] += factor * weights[c];
  });
  if (constraint === 'unitNorm') removeParallelPart(gradient, weights);
}

/** g ← g − ⟨g, w⟩ w / ‖w‖². */
function removeParallelPart(gradient: Float64Array, weights: Float32Array): void {
  let product = 0;
  let squaredNorm = 0;
  for (let c = 0; c < weights.length; c++) {
    product += gradient[c] * weights[c];
    squaredNorm += weights[c] * weights[c];
  }
  if (squaredNorm === 0) return;
  for (let c = 0; c < weights.length; c++) gradient[c] -= (product / squaredNorm) * weights[c];
}

const bits = new DataView(new ArrayBuffer(4));

/** How a moment is read, and how it is written with a dither (of 2³²): an f32 as it is, a bf16 rounded by it. */
function numberType(
  moments: Moments,
): [(stored: number) => number, (value: number, dither: number) => number] {
  if (moments instanceof Float32Array) return [(stored) => stored, (value) => value];
  return [
    (stored) => {
      bits.setUint32(0, stored << 16);
      return bits.getFloat32(0);
    },
    (value, dither) => {
      bits.setFloat32(0, value);
      return (bits.getUint32(0) + (dither >>> 16)) >>> 16;
    },
  ];
}

/** Multiples of fractions of 2³² that are spread evenly (Weyl's sequence): one for steps, rows and columns each. */
function ditherOf(step: number, row: number, column: number): number {
  return Math.imul(0xb5297a4d, step) + Math.imul(0x85ebca6b, row) + Math.imul(0x9e3779b9, column);
}

function squareOf(weights: Float64Array): number {
  let square = 0;
  for (const weight of weights) square += weight * weight;
  return square;
}

/** w ← w / ‖w‖. */
function normalise(weights: Float64Array): void {
  const squaredNorm = squareOf(weights);
  if (squaredNorm === 0) return;
  for (let c = 0; c < weights.length; c++) weights[c] /= Math.sqrt(squaredNorm);
}

/** See `KernelBackend.updateRows`. Each weight and moment is worked out in f64 and rounded once. */
export function updateRows(input: UpdateRowsInput): void {
  checkUpdateRows(input);
  expectPairs(input);
  const { width, constraint, gradientScale = 1 } = input;
  const [momentOf, bitsOf] = numberType(input.firstMoments);
  const { learningRate, beta1, beta2, epsilon, step } = input.adam;
  const correction1 = 1 - beta1 ** step;
  const correction2 = 1 - beta2 ** step;
  const gradient = new Float64Array(width);
  const next = new Float64Array(width);
  let notFinite: number | undefined;
  for (const latent of latentsOf(input)) {
    const weights = input.weights.subarray(latent * width, (latent + 1) * width);
    const firstMoments = input.firstMoments.subarray(latent * width, (latent + 1) * width);
    const secondMoments = input.secondMoments.subarray(latent * width, (latent + 1) * width);
    gradientOf(input, latent, gradient);
    for (let c = 0; c < width; c++) {
      const g = gradientScale * gradient[c];
      const m = beta1 * momentOf(firstMoments[c]) + (1 - beta1) * g;
      const v = beta2 * momentOf(secondMoments[c]) + (1 - beta2) * g * g;
      const dither = ditherOf(step, latent, c);
      firstMoments[c] = bitsOf(m, dither);
      secondMoments[c] = bitsOf(v, dither ^ 0x80000000);
      next[c] = weights[c] - (learningRate * (m / correction1)) / (Math.sqrt(v / correction2) + epsilon);
    }
    if (!Number.isFinite(Math.fround(squareOf(next)))) notFinite ??= latent;
    if (constraint === 'unitNorm') normalise(next);
    weights.set(next);
  }
  if (notFinite !== undefined)
    throw new MonosemeError(
      'ERR_NOT_FINITE',
      `The weights of latent ${notFinite} are not finite after the update, or too large to have a length.`,
      'Look at what was passed to the kernels.',
    );
}

/** See `KernelBackend.squaredGradientNorm`. */
export function squaredGradientNorm(input: GradientInput): number {
  checkGradient(input);
  expectPairs(input);
  const gradient = new Float64Array(input.width);
  let sum = 0;
  for (const latent of latentsOf(input)) {
    gradientOf(input, latent, gradient);
    for (const element of gradient) sum += element * element;
  }
  return sum;
}
