import { MonosemeError } from '../errors.ts';
import type { Dictionary } from './dictionary.ts';

/**
 * Lengths of every latent's decoder direction in each source of a crosscoder, [sources][dSae], in units of the source's
 * own activations (times √width / E‖x‖), so that they can be compared.
 *
 * @throws {MonosemeError} ERR_OPTION for a dictionary that is no crosscoder
 */
export function sourceNorms({ config, weights }: Dictionary): Float64Array[] {
  const { sources, dSae } = config;
  if (!sources)
    throw new MonosemeError(
      'ERR_OPTION',
      'The dictionary reads one hook point.',
      'Only a crosscoder has sources to compare.',
    );
  const dOut = weights.b_dec.length;
  let first = 0;
  return sources.map(({ width, scale }) => {
    const start = first;
    first += width;
    return Float64Array.from({ length: dSae }, (_, j) => {
      let square = 0;
      for (let i = j * dOut + start; i < j * dOut + start + width; i++) square += weights.W_dec[i] ** 2;
      return scale * Math.sqrt(square);
    });
  });
}

/**
 * Difference score of two sources a and b: ‖W^b_dec[j]‖ / (‖W^a_dec[j]‖ + ‖W^b_dec[j]‖), [dSae]. 0: the latent is of a
 * alone, ½: of both alike, 1: of b alone; NaN for a latent of neither.
 *
 * Source  Lindsey et al. 2024, relative decoder norm strength
 */
export function differenceScores(dictionary: Dictionary, a = 0, b = 1): Float64Array {
  const norms = sourceNorms(dictionary);
  return norms[b].map((norm, j) => norm / (norms[a][j] + norm));
}
