import type { KernelBackend, ScreenedWeights } from './contract.ts';

/** Latents from which on encoding was measured to be faster with screening, at two and more active latents in a thousand. */
const LEAST_LATENTS = 16_384;

/** Inputs from which on products in 8 bits cost more than looking at their results. */
const LEAST_INPUTS = 256;

/**
 * The weights as `screen` makes them, where encoding many rows is faster with them on this backend; otherwise nothing.
 * Where it turns out not to be, since many latents are active, `encode` goes back to f32 block by block by itself.
 */
export async function screenedIfItPays(
  backend: KernelBackend,
  W_enc: Float32Array,
  dIn: number,
): Promise<ScreenedWeights | undefined> {
  const dSae = W_enc.length / dIn;
  if (!backend.hasFastBytes || dSae < LEAST_LATENTS || dIn < LEAST_INPUTS) return undefined;
  return backend.screen({ W_enc, dIn, dSae });
}
