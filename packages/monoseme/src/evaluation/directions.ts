import { type Dictionary, nearestLatents } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';

/** Latents whose directions are at least this close say the same. */
const DUPLICATE_COSINE = 0.9;
const BINS = 20;

/** What the weights say about all latents together, and about each. */
export interface DirectionFigures {
  /** Of the cosine with the nearest other decoder direction. */
  readonly meanNearestCosine: number;
  readonly medianNearestCosine: number;
  /** Share of latents with another one at a cosine of 0.9 or more. */
  readonly fracNearDuplicates: number;
  /** [BINS + 1] and [BINS] over cosines from 0 to 1; latents without a positive cosine are in the first bin. */
  readonly histogram: { readonly edges: readonly number[]; readonly counts: readonly number[] };
  /** [dSae]: cosine with the nearest other latent, 0 where none is positive. */
  readonly nearestCosines: Float64Array;
  /** [dSae]: ⟨W_enc[j], W_dec[j]⟩. */
  readonly encoderDecoderProducts: Float64Array;
  /** [dSae] */
  readonly encoderBiases: Float64Array;
}

/** Cost 2·dSae²·dIn on the backend. */
export async function directionFigures(
  { config: { dIn, dSae }, weights }: Dictionary,
  backend: KernelBackend,
  signal?: AbortSignal,
): Promise<DirectionFigures> {
  const { W_enc, W_dec, b_enc } = weights;
  const nearestCosines = new Float64Array(dSae);
  let latent = 0;
  for await (const { cosines } of nearestLatents(backend, W_dec, dIn, 1, signal))
    nearestCosines[latent++] = cosines[0] ?? 0;
  const encoderDecoderProducts = Float64Array.from({ length: dSae }, (_, j) => {
    let product = 0;
    for (let i = j * dIn; i < (j + 1) * dIn; i++) product += W_enc[i] * W_dec[i];
    return product;
  });
  const counts = new Array<number>(BINS).fill(0);
  for (const cosine of nearestCosines) counts[Math.min(BINS - 1, Math.floor(cosine * BINS))]++;
  const sorted = nearestCosines.toSorted();
  return {
    meanNearestCosine: sorted.reduce((sum, cosine) => sum + cosine, 0) / dSae,
    medianNearestCosine: (sorted[(dSae - 1) >> 1] + sorted[dSae >> 1]) / 2,
    fracNearDuplicates: sorted.filter((cosine) => cosine >= DUPLICATE_COSINE).length / dSae,
    histogram: { edges: Array.from({ length: BINS + 1 }, (_, i) => i / BINS), counts },
    nearestCosines,
    encoderDecoderProducts,
    encoderBiases: Float64Array.from(b_enc),
  };
}
