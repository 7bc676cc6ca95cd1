import type { KernelBackend, ScreenedWeights } from './contract.ts';

/** Inputs from which on products in 8 bits cost more than looking at their results. */
const LEAST_INPUTS = 256;

/**
 * The weights as `screen` makes them, where encoding many rows is faster with them on this backend; otherwise nothing.
 * Where it turns out not to be, since many latents are active, `encode` goes back to f32 block by block by itself.
 *
 * @param mostBytes where the memory is scarce: only as many of the first latents are screened as that holds
 */
export async function screenedIfItPays(
  backend: KernelBackend,
  W_enc: Float32Array,
  dIn: number,
  mostBytes = Infinity,
): Promise<ScreenedWeights | undefined> {
  const dSae = W_enc.length / dIn;
  if (dSae < backend.screeningPaysFrom || dIn < LEAST_INPUTS) return undefined;
  const n = Math.min(dSae, Math.floor(mostBytes / backend.screenedBytes(dIn)));
  if (n === 0) return undefined;
  return backend.screen({ W_enc: W_enc.subarray(0, n * dIn), dIn, dSae: n });
}
