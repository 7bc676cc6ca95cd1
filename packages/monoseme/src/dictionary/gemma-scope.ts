import { MonosemeError } from '../errors.ts';
import { readNpz, writeNpz } from '../formats/index.ts';
import type { Dictionary, Weights } from './dictionary.ts';
import {
  expectFiniteWeights,
  MAX_D_IN,
  MAX_D_SAE,
  sizeOf,
  transposed,
  expectPlainAutoencoder,
} from './exchange.ts';

/**
 * Read a dictionary of Gemma Scope (Lieberum et al. 2024): `params.npz` with W_enc [dIn, dSae], W_dec [dSae, dIn],
 * b_enc, b_dec and threshold. The input is not centred. It says nothing of model and hook.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FORMAT, ERR_NOT_FINITE
 */
export async function loadGemmaScope(path: string): Promise<Dictionary> {
  const file = await readNpz(path);
  try {
    const [rows, columns] = await file.shape('W_enc');
    const dIn = sizeOf({ d_in: rows }, 'd_in', MAX_D_IN, path);
    const dSae = sizeOf({ d_sae: columns }, 'd_sae', MAX_D_SAE, path);
    const weights = {
      W_enc: transposed(await file.floats('W_enc', [dIn, dSae]), dIn, dSae),
      b_enc: await file.floats('b_enc', [dSae]),
      W_dec: await file.floats('W_dec', [dSae, dIn]),
      b_dec: await file.floats('b_dec', [dIn]),
      threshold: (await file.floats('threshold', [dSae])).map((value) => Math.max(value, 0)),
    };
    expectFiniteWeights(weights);
    return {
      config: {
        architecture: 'jumprelu',
        dIn,
        dSae,
        hookName: '',
        modelName: '',
        contextSize: undefined,
        applyBDecToInput: false,
        metadata: {},
      },
      weights,
    };
  } finally {
    await file.close();
  }
}

/**
 * Write a dictionary as Gemma Scope's `params.npz`. What the format has no place for is folded: a centred input into
 * b_enc, the gate of a gated dictionary into the threshold.
 *
 * @throws {MonosemeError} ERR_OPTION for `topk`, which is no threshold
 */
export async function saveGemmaScope(path: string, dictionary: Dictionary): Promise<void> {
  expectPlainAutoencoder(dictionary, 'Gemma Scope');
  const { dIn, dSae, architecture } = dictionary.config;
  if (architecture === 'topk')
    throw new MonosemeError(
      'ERR_OPTION',
      'A topk dictionary has no thresholds, so it cannot be written as Gemma Scope.',
      'Write it as SAELens or sparsify.',
    );
  const { W_enc, b_enc, W_dec, b_dec, threshold } = withThreshold(withoutCentering(dictionary), architecture);
  await writeNpz(path, {
    W_enc: { shape: [dIn, dSae], data: transposed(W_enc, dSae, dIn) },
    W_dec: { shape: [dSae, dIn], data: W_dec },
    b_enc: { shape: [dSae], data: b_enc },
    b_dec: { shape: [dIn], data: b_dec },
    threshold: { shape: [dSae], data: threshold ?? new Float32Array(dSae) },
  });
}

/** W (x − b_dec) + b = W x + (b − W b_dec), for every bias that stands beside W x. */
function withoutCentering({ config, weights }: Dictionary): Weights {
  if (!config.applyBDecToInput) return weights;
  const { W_enc, b_dec } = weights;
  const shift = Float64Array.from(weights.b_enc, (_, j) => {
    let sum = 0;
    for (let i = 0; i < config.dIn; i++) sum += W_enc[j * config.dIn + i] * b_dec[i];
    return sum;
  });
  const { b_mag, r_mag } = weights;
  return {
    ...weights,
    b_enc: weights.b_enc.map((value, j) => value - shift[j]),
    ...(b_mag && r_mag && { b_mag: b_mag.map((value, j) => value - Math.exp(r_mag[j]) * shift[j]) }),
  };
}

/**
 * A gated encoder as JumpReLU: with h = exp(r) π + b_mag, the gate π + b_gate > 0 is h > b_mag − exp(r) b_gate, and
 * the magnitude ReLU(h). (Rajamanoharan et al. 2024a, section 3.)
 */
function withThreshold(weights: Weights, architecture: string): Weights {
  if (architecture !== 'gated') return weights;
  const { W_enc, b_enc, b_mag, r_mag } = weights as Required<Weights>;
  const scale = r_mag.map(Math.exp);
  const dIn = W_enc.length / b_enc.length;
  return {
    ...weights,
    W_enc: W_enc.map((value, i) => value * scale[Math.floor(i / dIn)]),
    b_enc: b_mag,
    threshold: b_mag.map((value, j) => Math.max(0, value - scale[j] * b_enc[j])),
  };
}
