import type { Dictionary } from '../dictionary/index.ts';
import { largestPlaces } from './code-columns.ts';

/** Thresholds of SAEBench 0.6.0. */
const FULL_MIN_COSINE = 0.025;
const FRACTION_MIN_COSINE = 0.1;
const MIN_PROPORTION = 0.4;
const MAX_ABSORBERS = 3;
const SILENT = 1e-8;

/** Where a word's letter went. */
export interface Absorption {
  /** Share of the letter's direction that other latents carry in place of the main ones, 0 to 1. */
  readonly fraction: number;
  /** The main latents are silent, and another one alone carries the direction. */
  readonly isFull: boolean;
}

/** Cosine of a direction with every decoder row, [dSae]; 0 for a row of zeros. */
export function decoderCosines(direction: Float64Array, { weights: { W_dec } }: Dictionary): Float64Array {
  const width = direction.length;
  const length = Math.sqrt(direction.reduce((sum, value) => sum + value * value, 0));
  return Float64Array.from({ length: W_dec.length / width }, (_, latent) => {
    let [product, square] = [0, 0];
    for (let d = 0; d < width; d++) {
      const value = W_dec[latent * width + d];
      product += value * direction[d];
      square += value * value;
    }
    return square > 0 && length > 0 ? product / (length * Math.sqrt(square)) : 0;
  });
}

/**
 * How much of a concept, present in an activation by its probe, is carried by others than its main latents.
 *
 * With the projections f_j cos(probe, W_dec[j]) of the latents and ⟨x, probe⟩ / ‖probe‖ of the activation: absorbers are the
 * up to three largest projections of other latents whose cosine is at least 0.1. Fraction = min(absorbers, rest) /
 * (min(absorbers, rest) + main), where rest = ⟨x, probe⟩ − main; 1 when main ≤ 0; 0 when main covers ⟨x, probe⟩ or the
 * absorbers are below 40 % of it. Full: no main latent fires, and the latent with the largest projection has a cosine of at
 * least 0.025 and at least 40 % of ⟨x, probe⟩ > 0.
 * Source  Chanin et al. 2024 (full); SAEBench 0.6.0, `calculate_absorption` (both)
 *
 * @param latents, values the latents active on the word
 * @param cosines [dSae]
 * @param projection ⟨x, probe⟩ / ‖probe‖
 */
export function absorptionOf(
  latents: Uint32Array,
  values: Float32Array,
  cosines: Float64Array,
  main: ReadonlySet<number>,
  projection: number,
): Absorption {
  const projections = Float64Array.from(latents, (latent, i) => values[i] * cosines[latent]);
  let mainProjection = 0;
  let mainIsSilent = true;
  latents.forEach((latent, i) => {
    if (!main.has(latent)) return;
    mainProjection += projections[i];
    if (values[i] >= SILENT) mainIsSilent = false;
  });
  const others = projections.map((value, i) =>
    !main.has(latents[i]) && cosines[latents[i]] >= FRACTION_MIN_COSINE ? value : 0,
  );
  const absorbers = largestPlaces(others, MAX_ABSORBERS).reduce((sum, i) => sum + Math.max(0, others[i]), 0);
  const [top] = largestPlaces(projections, 1);
  return {
    fraction: fractionOf(absorbers, mainProjection, projection),
    isFull:
      mainIsSilent &&
      top !== undefined &&
      projection > 0 &&
      cosines[latents[top]] >= FULL_MIN_COSINE &&
      projections[top] >= MIN_PROPORTION * projection,
  };
}

function fractionOf(absorbers: number, main: number, projection: number): number {
  if (projection <= 0 || main >= projection || absorbers / projection < MIN_PROPORTION) return 0;
  if (main <= 0) return 1;
  const absorbed = Math.min(absorbers, projection - main);
  return absorbed / (absorbed + main);
}
