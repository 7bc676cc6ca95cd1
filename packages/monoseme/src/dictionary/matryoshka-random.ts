import type { Random } from '../random/index.ts';
import type { Architecture } from './architecture.ts';
import { batchTopK } from './batch-top-k.ts';
import { matryoshkaGradients } from './matryoshka.ts';

/** Exponent of the distribution of prefix widths: P(width > w) ∝ w^−α, so that small ones are drawn often. */
const EXPONENT = 0.5;

/**
 * Matryoshka BatchTopK with prefixes that are drawn anew for every batch (Nabeshima 2024).
 *
 * Loss       that of Matryoshka, with m_1 … m_{K−1} drawn from the Pareto distribution of exponent 0.5 on 1 … dSae and
 *            m_K = dSae; equal widths count once
 */
export const matryoshkaRandom: Architecture = {
  ...batchTopK,
  name: 'matryoshka-random',
  description: 'Matryoshka whose inner widths are drawn anew for every batch',
  source: 'Nabeshima 2024',
  settings: { ...batchTopK.settings, nPrefixes: 5, prefixPower: 1 },
  gradients: (step) => {
    const nPrefixes = step.settings.nPrefixes as number;
    return matryoshkaGradients(step, randomWidths(nPrefixes, step.dSae, step.random()));
  },
};

/** Ascending, the last dSae. */
export function randomWidths(n: number, dSae: number, random: Random): number[] {
  const widths = new Set([dSae]);
  const share = 1 - dSae ** -EXPONENT;
  for (let i = 1; i < n; i++)
    widths.add(Math.min(dSae, Math.floor((1 - random.uniform() * share) ** (-1 / EXPONENT))));
  return [...widths].sort((a, b) => a - b);
}
