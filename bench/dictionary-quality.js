/** Quality of the weights that a contestant wrote, measured in the same way for all. */
import { decode, encode } from '../packages/monoseme/dist/dictionary/index.js';
import { HELD_OUT_ROWS, D_IN } from './peer-data.js';
import { readActivations, readWeights, topKBackend } from './peer-runners/monoseme.js';

const BATCH_ROWS = 2048;

/**
 * On the held-out rows: loss ‖x − x̂‖² + λ Σ_j f_j ‖W_dec[j]‖ (so that scaling a decoder row buys nothing), L0 and
 * explained variance 1 − Σ‖x − x̂‖² / Σ‖x − mean‖².
 */
export async function quality(case_, weightsPath, activations, backend) {
  const { architecture, dSae, k, nRows } = case_;
  const weights = await readWeights(weightsPath, D_IN, dSae);
  const dictionary = { config: { dIn: D_IN, dSae, applyBDecToInput: true }, weights };
  const used = architecture === 'topk' ? topKBackend(backend, k) : backend;
  const norms = rowNorms(weights.W_dec, D_IN);
  const rows = await readActivations(activations, nRows, nRows + HELD_OUT_ROWS);
  let [squaredError, l1, l0] = [0, 0, 0];
  for (let start = 0; start < rows.length; start += BATCH_ROWS * D_IN) {
    const x = rows.subarray(start, start + BATCH_ROWS * D_IN);
    const codes = await encode(dictionary, used, x, x.length / D_IN);
    const reconstruction = await decode(dictionary, used, codes);
    for (let i = 0; i < x.length; i++) squaredError += (x[i] - reconstruction[i]) ** 2;
    for (let pair = 0; pair < codes.values.length; pair++)
      l1 += codes.values[pair] * norms[codes.latentIndices[pair]];
    l0 += codes.values.length;
  }
  const lambda = architecture === 'topk' ? 0 : case_.l1Coefficient;
  return {
    loss: (squaredError + lambda * l1) / HELD_OUT_ROWS,
    l0: l0 / HELD_OUT_ROWS,
    explainedVariance: 1 - squaredError / variance(rows, D_IN),
  };
}

function rowNorms(matrix, width) {
  return Float64Array.from({ length: matrix.length / width }, (_, row) =>
    Math.hypot(...matrix.subarray(row * width, (row + 1) * width)),
  );
}

/** Σ‖x − mean‖² */
function variance(rows, width) {
  const means = new Float64Array(width);
  for (let i = 0; i < rows.length; i++) means[i % width] += rows[i] / (rows.length / width);
  let total = 0;
  for (let i = 0; i < rows.length; i++) total += (rows[i] - means[i % width]) ** 2;
  return total;
}
