import { centered } from '../dictionary/index.ts';
import type { AdamOptions, Codes, CodesByLatent, KernelBackend } from '../kernels/contract.ts';
import { adamStep_ } from './adam.ts';
import type { TrainState } from './parameters.ts';

export interface StepOptions {
  readonly l1Coefficient: number;
  readonly adam: AdamOptions;
  readonly unitNormDecoder: boolean;
  /** False holds b_dec where it is. */
  readonly trainDecoderBias: boolean;
}

/** Sums over a batch, in the scale of training. */
export interface StepSums {
  /** Σ_b ‖x − x̂‖² */
  squaredError: number;
  /** Σ_b ‖f‖₁ */
  l1: number;
  /** Σ_b ‖f‖₀ */
  l0: number;
}

/**
 * One step of the paper's sparse autoencoder (Bricken et al. 2023), on the sparse primitives.
 *
 * Loss       L = 1/B Σ_b [ ‖x_b − x̂_b‖² + λ ‖f_b‖₁ ],  f = ReLU(W_enc (x − b_dec) + b_enc),  x̂ = W_dec f + b_dec
 * Gradients  with e = x̂ − x and δ_bj = ∂L/∂h_bj = (2⟨e_b, W_dec[j]⟩ + λ)/B where f_bj > 0, else 0:
 *            ∂W_dec[j] = 2/B Σ_b f_bj e_b,  ∂W_enc[j] = Σ_b δ_bj (x_b − b_dec),  ∂b_enc[j] = Σ_b δ_bj,
 *            ∂b_dec = 2/B Σ_b e_b − Σ_j ∂b_enc[j] W_enc[j]   (decoder path, and encoder path with its minus)
 * Shapes     batch [nRows, dIn], already times the scaling factor
 * Mutates    state
 * Source     paper, "Sparse autoencoder" appendix; all gradients use the weights from before the step
 */
export async function trainStep_(
  state: TrainState,
  backend: KernelBackend,
  batch: Float32Array,
  options: StepOptions,
): Promise<StepSums> {
  const { dIn, dSae, encoder, decoder, encoderBias, decoderBias } = state;
  const nRows = batch.length / dIn;
  const { adam, l1Coefficient } = options;
  const x = centered(batch, decoderBias.values, true);
  const codes = await backend.encode({
    x,
    nRows,
    dIn,
    dSae,
    W_enc: encoder.weights,
    b_enc: encoderBias.values,
    selection: { kind: 'threshold' },
  });
  const [byLatent, { residuals, squaredErrors, products }] = await Promise.all([
    backend.transpose(codes),
    backend.residuals({
      codes,
      dOut: dIn,
      W_dec: decoder.weights,
      b_dec: decoderBias.values,
      target: batch,
    }),
  ]);

  const deltas = products.map((product) => (2 * product + l1Coefficient) / nRows);
  const encoderBiasGradient = sumsByLatent(codes, deltas);
  const decoderBiasGradient = await gradientOfDecoderBias(state, backend, residuals, encoderBiasGradient);
  const decoderFactors = codes.values.map((value) => (2 * value) / nRows);

  const shared = { byLatent, width: dIn, adam };
  await backend.updateRows({
    ...shared,
    ...decoder,
    coefficients: decoderFactors,
    rows: residuals,
    constraint: options.unitNormDecoder ? 'unitNorm' : 'none',
  });
  await backend.updateRows({ ...shared, ...encoder, coefficients: deltas, rows: x, constraint: 'none' });
  adamStep_(encoderBias, encoderBiasGradient, adam);
  if (options.trainDecoderBias) adamStep_(decoderBias, decoderBiasGradient, adam);

  state.step++;
  markFired_(state, byLatent);
  return {
    squaredError: sum(squaredErrors),
    l1: sum(codes.values),
    l0: codes.values.length,
  };
}

/** Σ over the rows in which a latent is active, [dSae], f64. */
function sumsByLatent(codes: Codes, values: Float32Array): Float64Array {
  const sums = new Float64Array(codes.dSae);
  const { latentIndices } = codes;
  for (let pair = 0; pair < values.length; pair++) sums[latentIndices[pair]] += values[pair];
  return sums;
}

async function gradientOfDecoderBias(
  state: TrainState,
  backend: KernelBackend,
  residuals: Float32Array,
  encoderBiasGradient: Float64Array,
): Promise<Float64Array> {
  const { dIn, dSae } = state;
  const nRows = residuals.length / dIn;
  const gradient = new Float64Array(dIn);
  for (let start = 0; start < residuals.length; start += dIn) {
    for (let i = 0; i < dIn; i++) gradient[i] += residuals[start + i];
  }
  const throughEncoder = await backend.decode({
    codes: oneFullRow(Float32Array.from(encoderBiasGradient)),
    dOut: dIn,
    W_dec: state.encoder.weights,
  });
  for (let i = 0; i < dIn; i++) gradient[i] = (2 / nRows) * gradient[i] - throughEncoder[i];
  return gradient;

  function oneFullRow(values: Float32Array): Codes {
    return {
      nRows: 1,
      dSae,
      rowPointers: Uint32Array.of(0, dSae),
      latentIndices: Uint32Array.from({ length: dSae }, (_, j) => j),
      values,
    };
  }
}

function markFired_(state: TrainState, byLatent: CodesByLatent): void {
  const { latentPointers } = byLatent;
  for (let j = 0; j < state.dSae; j++) {
    if (latentPointers[j + 1] > latentPointers[j]) state.lastFiredStep[j] = state.step;
  }
}

function sum(values: Float32Array | Float64Array): number {
  let total = 0;
  for (let i = 0; i < values.length; i++) total += values[i];
  return total;
}
