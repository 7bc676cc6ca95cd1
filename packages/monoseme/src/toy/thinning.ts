import type { Random } from '../random/index.ts';
import { normalCdf } from './normal.ts';

/** Features that share a bound. */
const BLOCK = 64;

/**
 * Calls `fire` for features that fire, each with probability Φ of its score, without drawing a number for each: where none of a
 * block fires more often than M, the gaps between candidates are geometric with M, and a candidate fires with probability
 * Φ(score) / M.
 */
export function thin(scores: Float32Array, random: Random, fire: (feature: number) => void): void {
  for (let start = 0; start < scores.length; start += BLOCK) {
    const end = Math.min(start + BLOCK, scores.length);
    let largest = scores[start];
    for (let feature = start + 1; feature < end; feature++)
      if (scores[feature] > largest) largest = scores[feature];
    const bound = normalCdf(largest);
    // 0 where the bound is 1: every feature is a candidate. Without bound: −∞, and none is.
    const scale = 1 / Math.log1p(-bound);
    const gap = () => Math.min(BLOCK, Math.floor(Math.log(1 - random.uniform()) * scale));
    for (let feature = start + gap(); feature < end; feature += 1 + gap())
      if (random.uniform() * bound < normalCdf(scores[feature])) fire(feature);
  }
}
