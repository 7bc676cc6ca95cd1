import type { Dictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import type { Share } from '../evaluation/index.ts';
import type { BinarySet } from './class-sets.ts';
import { codeMeanDifference, largestPlaces } from './code-columns.ts';
import type { ProbeExamples } from './examples.ts';
import { type Probe, probeScore } from './probe.ts';
import { accuracyOf } from './sparse-probing.ts';

/** Numbers of latents that are ablated together. */
export const ABLATED_LATENTS: readonly number[] = [2, 5, 10, 20, 50, 100, 500];

/** @throws {MonosemeError} ERR_OPTION for a dictionary whose latents do not add up one by one */
export function expectAblatable({ config }: Dictionary): void {
  if (config.normalization === undefined) return;
  throw new MonosemeError(
    'ERR_OPTION',
    `The dictionary has ${config.normalization}, so that a latent adds something else to every token.`,
    'Targeted probe perturbation and spurious correlation removal need one without.',
  );
}

/** ⟨probe, W_dec[j]⟩ of every latent, [dSae]: what a unit of the latent adds to the probe's score. */
export function probeProducts({ weights }: Probe, { weights: { W_dec } }: Dictionary): Float64Array {
  const width = weights.length;
  return Float64Array.from({ length: W_dec.length / width }, (_, latent) => {
    let product = 0;
    for (let d = 0; d < width; d++) product += weights[d] * W_dec[latent * width + d];
    return product;
  });
}

/**
 * What each latent contributes to a probe's decision, [dSae].
 *
 * Formula  (mean f over the class − mean f over the others) · ⟨probe, W_dec⟩; `towards`: a latent that is less active on
 *          the class counts as 0; `any`: the absolute value
 * Source   SAEBench, targeted probe perturbation (`towards`) and spurious correlation removal (`any`)
 */
export function latentEffects(
  { codes }: ProbeExamples,
  { rows, isPositive }: BinarySet,
  products: Float64Array,
  kind: 'towards' | 'any',
): Float64Array {
  const difference = codeMeanDifference(codes, rows, isPositive);
  return difference.map((value, latent) =>
    kind === 'towards' ? Math.max(0, value) * products[latent] : Math.abs(value * products[latent]),
  );
}

/** The n latents with the largest effects that are not 0; fewer when there are not so many. */
export function mostEffective(effects: Float64Array, n: number): Set<number> {
  return new Set(largestPlaces(effects, n, (effect) => effect !== 0));
}

/**
 * Score of a text by a probe when latents are set to 0 and the error term is kept.
 *
 * A latent adds f_j W_dec[j] to a token's activation, so taking it out lowers the score of a text's mean by its mean
 * activation times ⟨probe, W_dec[j]⟩; no activation is made again.
 *
 * @param products of this probe
 */
export function ablatedScore(
  { means, codes }: ProbeExamples,
  row: number,
  probe: Probe,
  products: Float64Array,
  ablated: ReadonlySet<number>,
): number {
  let score = probeScore(probe, means, row);
  for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++) {
    const latent = codes.latentIndices[pair];
    if (ablated.has(latent)) score -= codes.values[pair] * products[latent];
  }
  return score;
}

/** Accuracy of the probe then. */
export function ablatedAccuracy(
  examples: ProbeExamples,
  set: BinarySet,
  probe: Probe,
  products: Float64Array,
  ablated: ReadonlySet<number>,
): Share {
  return accuracyOf(set, (row) => ablatedScore(examples, row, probe, products, ablated));
}
