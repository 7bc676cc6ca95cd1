import { type Gradients, oneFullRow, onePairEach, plus } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { currentWeights, type TrainState } from './parameters.ts';

/** How a step lets the encoder see x − b_dec. */
export interface Centering {
  /** With b_dec as the rows are to be reconstructed. */
  readonly weights: ReturnType<typeof currentWeights>;
  /** [dSae]: the bias with which the encoder sees the rows as they are now. */
  readonly encoderBias: Float32Array;
  /** Completes gradients whose encoder saw rows that lack no b_dec. */
  complete(gradients: Gradients): Gradients;
}

/**
 * Rows that are mostly zeros stay as they are, since the kernels skip zeros: the bias has b_dec then, and
 * ∂W_enc[j] = Σ_b δ_bj (x_b − b_dec) gets its second part as one more sum. From other rows b_dec is subtracted: products
 * of a row far from 0 are rounded, and screened, more coarsely.
 *
 * Mutates x in the second case: target and reconstruction are then both seen from b_dec
 */
export async function centering_(
  state: TrainState,
  backend: KernelBackend,
  x: Float32Array,
  centersInput: boolean,
): Promise<Centering> {
  const weights = currentWeights(state);
  const { b_enc, b_dec } = weights;
  if (!centersInput) return { weights, encoderBias: b_enc, complete: (gradients) => gradients };
  if (!isMostlyZeros(x)) {
    await backend.center({ rows: x, offset: b_dec });
    const seenFromBias = { ...weights, b_dec: new Float32Array(b_dec.length) };
    return { weights: seenFromBias, encoderBias: b_enc, complete: (gradients) => gradients };
  }
  const { dSae, dIn, encoder, buffers } = state;
  const codes = oneFullRow(buffers, buffers.floats('no activations', dSae));
  const ofBias = await backend.sampledProducts({ codes, rows: b_dec, dOut: dIn, W_dec: encoder.weights });
  const encoderBias = buffers.floats('biases without b_dec', dSae);
  for (let j = 0; j < dSae; j++) encoderBias[j] = b_enc[j] - ofBias[j];
  return {
    weights,
    encoderBias,
    complete(gradients) {
      const minus = buffers.floats('minus the gradients of the pre-activations', dSae);
      for (let j = 0; j < dSae; j++) minus[j] = -gradients.preActs[j];
      const ofOffset = onePairEach(b_dec, 1, new Uint32Array(dSae), minus);
      return { ...gradients, encoder: plus(gradients.encoder, ofOffset) };
    },
  };
}

/** Up to this share of numbers that are not 0 the kernels skip the others, also where they could screen. */
const MOST_ENTRIES = 0.15;

/** Of large batches one number in so many is looked at: a prime, so that every column has its turn. */
const STRIDE = 13;
const LARGE = 1 << 16;

export function isMostlyZeros(x: Float32Array): boolean {
  const stride = x.length > LARGE ? STRIDE : 1;
  let entries = 0;
  for (let i = 0; i < x.length; i += stride) if (x[i] !== 0) entries++;
  return entries * stride <= MOST_ENTRIES * x.length;
}
