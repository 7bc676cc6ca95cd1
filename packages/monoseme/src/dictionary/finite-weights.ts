import { MonosemeError } from '../errors.ts';
import { allFinite } from '../tensor/index.ts';
import type { Weights } from './dictionary.ts';

/** Weights in which no NaN and no infinity was found. */
const finite = new WeakSet<Weights>();

/**
 * Refuse weights that hold NaN or infinity: a latent of NaN is never kept and would be missed by nobody. Looked at once
 * for an object of weights, which must not change while it is used.
 *
 * @throws {MonosemeError} ERR_NOT_FINITE, with the first such element
 */
export function expectFiniteWeights(weights: Weights, of = 'the dictionary'): void {
  if (finite.has(weights)) return;
  for (const [name, values] of Object.entries(weights) as [string, Float32Array | undefined][]) {
    if (values === undefined || allFinite(values)) continue;
    const at = values.findIndex((value) => !Number.isFinite(value));
    throw new MonosemeError(
      'ERR_NOT_FINITE',
      `${name} of ${of} holds ${values[at]} at element ${at}.`,
      'The file is damaged, or its training diverged: take an earlier checkpoint.',
    );
  }
  finite.add(weights);
}
