import type { KernelBackend, ScreenedWeights, Selection } from './contract.ts';

/**
 * Latents from which on `bench -- kernels` found encoding faster with screening, at L0 64 or less: with thresholds 1.0 to
 * 1.9 times at 4,096 (the more the sparser; whole steps of training 1.0 to 1.5
 * times, 1.0 to 1.8 at 8,192), with the k largest, whose bars must first be found, 1.1 times at 16,384.
 */
const LEAST_LATENTS = { threshold: 4096, topK: 16_384, batchTopK: 16_384 };

/** Inputs from which on products in 8 bits cost more than looking at their results. */
const LEAST_INPUTS = 256;

/**
 * The weights as `screen` makes them, where encoding many rows is faster with them on this backend; otherwise nothing.
 * Where it turns out not to be, since many latents are active, `encode` goes back to f32 block by block by itself.
 *
 * @param kind of the selections to come
 */
export async function screenedIfItPays(
  backend: KernelBackend,
  W_enc: Float32Array,
  dIn: number,
  kind: Selection['kind'],
): Promise<ScreenedWeights | undefined> {
  const dSae = W_enc.length / dIn;
  if (!backend.hasFastBytes || dSae < LEAST_LATENTS[kind] || dIn < LEAST_INPUTS) return undefined;
  return backend.screen({ W_enc, dIn, dSae });
}
