import type { KernelBackend } from '../kernels/contract.ts';

/** Latents whose pre-activations on the sample are in memory at once. */
const LATENTS_AT_ONCE = 512;
const MAX_ROWS = 4096;

export interface BiasInput {
  readonly backend: KernelBackend;
  /** [nRows, dIn], as the encoder sees them */
  readonly x: Float32Array;
  readonly dIn: number;
  /** [dSae, dIn] */
  readonly W_enc: Float32Array;
  /** Share of the inputs on which each latent is to fire. */
  readonly density: number;
  /** What a pre-activation must exceed to fire. */
  readonly threshold: number;
}

/**
 * Encoder biases with which every latent fires on the same share of a sample: b_enc[j] = θ − the (1 − density) quantile of
 * ⟨x, W_enc[j]⟩ over the first 4,096 rows. Source: Anthropic, January 2025.
 */
export async function biasesForDensity(input: BiasInput): Promise<Float32Array> {
  const { backend, dIn, W_enc, density, threshold } = input;
  const dSae = W_enc.length / dIn;
  const nRows = Math.min(MAX_ROWS, input.x.length / dIn);
  const x = input.x.subarray(0, nRows * dIn);
  const b_enc = new Float32Array(dSae);
  const rank = Math.min(nRows - 1, Math.floor((1 - density) * nRows));
  for (let first = 0; first < dSae; first += LATENTS_AT_ONCE) {
    const n = Math.min(LATENTS_AT_ONCE, dSae - first);
    const { values, rowPointers } = await backend.encode({
      ...{ x, nRows, dIn, dSae: n, W_enc: W_enc.subarray(first * dIn, (first + n) * dIn) },
      b_enc: new Float32Array(n),
      selection: { kind: 'threshold', thresholds: new Float32Array(n).fill(-Infinity) },
    });
    for (let j = 0; j < n; j++) {
      const ofLatent = Float32Array.from({ length: nRows }, (_, row) => values[rowPointers[row] + j]).sort();
      b_enc[first + j] = threshold - ofLatent[rank];
    }
  }
  return b_enc;
}
