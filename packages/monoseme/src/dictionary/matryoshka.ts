import type { Codes } from '../kernels/contract.ts';
import type { Buffers } from '../tensor/index.ts';
import type { Architecture, Gradients, Step } from './architecture.ts';
import { idleLatents, withAuxK } from './aux-k.ts';
import { batchTopK, encodeLifted } from './batch-top-k.ts';
import { nestedGradients } from './nested-gradients.ts';
import { total } from './sparse-sum.ts';

/**
 * Matryoshka BatchTopK (Bussmann et al. 2025): nested dictionaries, each of which must reconstruct alone.
 *
 * Loss       L = 1/B Σ_b Σ_k w_k ‖x_b − x̂_bk‖² + AuxK,  x̂_k = b_dec + Σ_{j < m_k} f_j W_dec[j],  f by BatchTopK over
 *            all latents, m_k = round(prefixes[k] · dSae)
 * Gradients  those of nested reconstructions, a pair in the group of the smallest prefix that its latent is in
 * Prefixes   widths grow as 1/32, 1/16, 1/8, 1/4 and the rest
 * Weights    w_k = m_k^p / Σ_i m_i^p, p = `prefixPower`. With theirs, 1/K (p = 0), the first latents of features that do not depend on
 *            each other are pressed to stand for several at once; of features in hierarchies it finds the most (docs/quality.md)
 * Deviation  p = 1; AuxK explains the residual of the whole dictionary, not that of each prefix
 */
export const matryoshka: Architecture = {
  ...batchTopK,
  name: 'matryoshka',
  description: 'BatchTopK whose first latents must reconstruct alone (nested dictionaries)',
  source: 'Bussmann et al. 2025',
  settings: { ...batchTopK.settings, prefixes: [1 / 32, 3 / 32, 7 / 32, 15 / 32, 1], prefixPower: 1 },
  gradients: (step) =>
    matryoshkaGradients(step, latentGroups(step.settings.prefixes as readonly number[], step.dSae)),
};

/** Where each group of latents ends: the widths of the prefixes, at least one latent each. */
export function latentGroups(prefixes: readonly number[], dSae: number): number[] {
  const ends: number[] = [];
  for (const fraction of prefixes) {
    const end = Math.max(Math.round(fraction * dSae), (ends.at(-1) ?? 0) + 1);
    ends.push(Math.min(end, dSae));
  }
  return ends;
}

/** @param widths m_1 … m_K, ascending, the last dSae */
export async function matryoshkaGradients(step: Step, widths: readonly number[]): Promise<Gradients> {
  const acts = await encodeLifted(step);
  const whole = widths.length - 1;
  const powers = widths.map((width) => width ** (step.settings.prefixPower as number));
  const shares = powers.map((power) => power / sum(powers));
  const idle = await idleLatents(step);
  const { nHeld, places, auxiliary } = placesOf(step, widths.length, idle.length > 0);
  const { gradients, squaredErrors } = await nestedGradients(
    step,
    acts,
    groupsOf(acts, widths, step.buffers),
    shares,
    { ends: widths, nHeld, residuals: places },
  );
  const ofPrefixes = {
    ...gradients,
    further: { lift: new Float64Array(step.dSae) },
    sums: {
      squaredError: squaredErrors[whole],
      l1: total(acts.values),
      l0: acts.values.length,
      loss: sum(shares.map((share, prefix) => share * squaredErrors[prefix])),
    },
  };
  return withAuxK(step, ofPrefixes, { idle, residuals: auxiliary });
}

/**
 * Where residuals go: those of the groups that are held, and behind them what AuxK leaves, where a latent is idle: the same
 * memory in every step, of which AuxK takes a place when it needs one.
 */
function placesOf({ buffers, nHeld: most, settings, target }: Step, nGroups: number, hasIdle: boolean) {
  const { length } = target;
  const nPlaces = Math.min(most ?? Infinity, 1 + ((settings.nPrefixes as number | undefined) ?? nGroups));
  const places = buffers.floats('nested residuals', nPlaces * length);
  const nHeld = Math.min(nGroups, hasIdle ? nPlaces - 1 : nPlaces);
  const end = nHeld * length;
  return { nHeld, places: places.subarray(0, end), auxiliary: places.subarray(end, end + length) };
}

/** The first group that each pair is in. */
function groupsOf({ latentIndices }: Codes, widths: readonly number[], buffers: Buffers): Uint8Array {
  const ofLatent = new Uint8Array(widths.at(-1) as number);
  widths.forEach((width, g) => ofLatent.fill(g, widths[g - 1] ?? 0, width));
  const groups = buffers.bytes('groups', latentIndices.length);
  for (let pair = 0; pair < groups.length; pair++) groups[pair] = ofLatent[latentIndices[pair]];
  return groups;
}

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
