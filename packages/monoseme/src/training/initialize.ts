import type { ActivationSource } from '../activations/index.ts';
import { architectureNamed, centered, type ScaledColumns } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { hashSeed } from '../random/index.ts';
import { type TrainState, trainState } from './parameters.ts';
import { biasesForDensity } from './initial-biases.ts';
import { initialDirections } from './initial-directions.ts';
import type { TrainOptions } from './options.ts';
import { sampleRows } from './random-chunks.ts';
import { startAverage } from './weight-average.ts';
import { rowLayout, rowParts, prepareRows_, sidesOf, totalWidth } from './row-layout.ts';

/** Rows on which the bias and the input scale are estimated; OpenAI's trainer uses as many. */
const SAMPLE_ROWS = 32_768;

/**
 * The state before the first step.
 *
 * Directions: see `initialDirections`. b_dec: geometric median of a sample of what is reconstructed. W_skip: 0. Every
 * hook point of the rows has a scale of its own. With `initialDensity`, b_enc is set by it. Sources: Bricken et al. 2023 (geometric median); Lindsey et al. 2024
 * (scales of a crosscoder).
 */
export async function initialState(
  source: ActivationSource,
  backend: KernelBackend,
  options: TrainOptions,
  signal: AbortSignal | undefined,
): Promise<TrainState> {
  const architecture = architectureNamed(options.architecture);
  const rows = await sampleRows(
    source,
    Math.min(SAMPLE_ROWS, options.tokens),
    hashSeed(options.seed, 'sample'),
    signal,
  );
  const parts = rowParts(rowLayout(source, architecture));
  const ownScales = meanNorms(rows, parts).map((norm, part) => Math.sqrt(parts[part].width) / norm);
  const layout = rowLayout(source, architecture, ownScales, options.normalize);
  const { x, target } = sidesOf(prepareRows_(rows, layout), layout);
  const [dIn, dOut] = [totalWidth(layout.inputs), totalWidth(layout.outputs)];
  const [inputNorm] = meanNorms(x, [{ width: dIn, scale: 1 }]);
  const start = architecture.start?.(options.dSae, inputNorm / Math.sqrt(dIn), options);
  const b_dec = await decoderBias(target, target.length / dOut, dOut, backend, options.decoderBiasInit);
  const directions = initialDirections({ x, dIn, target, dOut, b_dec }, options);
  const { initialDensity: density, initialThreshold = 0 } = options;
  if (density !== undefined) {
    const threshold = (initialThreshold * inputNorm) / Math.sqrt(dIn);
    const encoded = centered(x, b_dec, architecture.centersInput);
    const { W_enc } = directions;
    directions.b_enc.set(await biasesForDensity({ backend, x: encoded, dIn, W_enc, density, threshold }));
  }
  const skip = architecture.hasSkip && { W_skip: new Float32Array(dIn * dOut) };
  const state = trainState({ ...directions, b_dec, ...skip }, layout, start, options.moments, backend);
  return options.emaDecay > 0 ? { ...state, average: startAverage(state) } : state;
}

async function decoderBias(
  points: Float32Array,
  nRows: number,
  width: number,
  backend: KernelBackend,
  kind: TrainOptions['decoderBiasInit'],
): Promise<Float32Array> {
  if (kind === 'geometric-median')
    return backend.geometricMedian({ points, nRows, width, maxIterations: 100, tolerance: 1e-5 });
  const sums = new Float64Array(width);
  if (kind === 'mean') for (let i = 0; i < points.length; i++) sums[i % width] += points[i] / nRows;
  return Float32Array.from(sums);
}

/** Mean length of each part of the rows; 1 for a part that is always zero. */
function meanNorms(rows: Float32Array, parts: readonly ScaledColumns[]): number[] {
  const totals = parts.map(() => 0);
  const nRows = rows.length / totalWidth(parts);
  for (let at = 0; at < rows.length;) {
    for (const [part, { width }] of parts.entries()) {
      let square = 0;
      for (const end = at + width; at < end; at++) square += rows[at] * rows[at];
      totals[part] += Math.sqrt(square);
    }
  }
  return totals.map((total) => (total > 0 ? total / nRows : 1));
}
