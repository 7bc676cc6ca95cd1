import { MonosemeError } from '../errors.ts';

/** How often the features fire. The first are the most frequent. */
export type Frequencies =
  /** All alike: `meanActive` of a row on average. */
  | { readonly kind: 'equal'; readonly meanActive: number }
  /** p_i ∝ decay^i, `meanActive` of a row on average (Sharkey et al. 2022). */
  | { readonly kind: 'geometric'; readonly meanActive: number; readonly decay: number }
  /** p_i ∝ i^−exponent, `meanActive` of a row on average. */
  | { readonly kind: 'power-law'; readonly meanActive: number; readonly exponent: number }
  /** i^−exponent moved and scaled to fall from `max` to `min` (SynthSAEBench). */
  | { readonly kind: 'zipf'; readonly exponent: number; readonly max: number; readonly min: number };

/**
 * The probability of each feature, [nFeatures].
 *
 * @throws {MonosemeError} ERR_OPTION where one would not be above 0 and at most 1
 */
export function probabilities(frequencies: Frequencies, nFeatures: number): Float64Array {
  const values = shape(frequencies, nFeatures);
  if (frequencies.kind === 'zipf') {
    const { max, min } = frequencies;
    const [first, last] = [values[0], values[nFeatures - 1]];
    const range = first === last ? 1 : first - last;
    values.forEach((value, i) => (values[i] = min + ((max - min) * (value - last)) / range));
  } else {
    const total = values.reduce((sum, value) => sum + value, 0);
    values.forEach((value, i) => (values[i] = (value / total) * frequencies.meanActive));
  }
  if (values.every((value) => value > 0 && value <= 1)) return values;
  throw new MonosemeError(
    'ERR_OPTION',
    `${JSON.stringify(frequencies)} gives probabilities outside 0 to 1 for ${nFeatures} features.`,
    'Give fewer active features, or more features.',
  );
}

function shape(frequencies: Frequencies, nFeatures: number): Float64Array {
  const values = new Float64Array(nFeatures);
  if (frequencies.kind === 'equal') return values.fill(1);
  if (frequencies.kind === 'geometric') return values.map((_, i) => frequencies.decay ** i);
  return values.map((_, i) => (i + 1) ** -frequencies.exponent);
}
