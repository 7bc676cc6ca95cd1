import { plot } from '../plots/index.ts';
import { figureText, intervalText } from '../report/index.ts';
import type { Persistence, PersistenceKind } from './persistence.ts';
import type { SubspaceOverlap } from './subspace.ts';
import type { Analysis } from './write-analysis.ts';

const LISTED = 20;
const NAMES = { latents: 'latents', directions: 'decoder directions', random: 'random directions' } as const;

/** @param overlap with a subspace that was given */
export function persistenceAnalysis(found: Persistence, overlap?: SubspaceOverlap): Analysis {
  const { lags, latents, medians, intervals, nTokens, worstMatch } = found;
  const kinds = Object.keys(NAMES) as PersistenceKind[];
  const known = latents.flatMap((values, latent) => (values ? [{ latent, values }] : []));
  const last = lags.length - 1;
  const order = known.toSorted((a, b) => b.values[last] - a.values[last] || a.latent - b.latent);
  return {
    name: 'persistence',
    title: 'Persistence',
    summary:
      known.length === 0
        ? 'No latent is active on 20 tokens of this text: give more text.'
        : `Between neighbouring tokens the median autocorrelation is ${kinds.map((kind) => `${figureText(medians[kind][0])} of ${NAMES[kind]}`).join(', ')}.`,
    json: {
      ...{ n_tokens: nTokens, lags, worst_match: worstMatch },
      medians: Object.fromEntries(kinds.map((kind) => [kind, medians[kind].map((value) => value ?? null)])),
      intervals: Object.fromEntries(
        kinds.map((kind) => [kind, intervals[kind].map((interval) => interval ?? null)]),
      ),
      latents: latents.map((values) => values?.map((value) => Number(value.toPrecision(6))) ?? null),
      subspace: overlap
        ? { rank: overlap.rank, expected: overlap.expected, shares: [...overlap.shares] }
        : null,
    },
    sections: [
      {
        title: 'Autocorrelation over lags',
        text: [
          `Pairs of tokens of one context, over ${nTokens.toLocaleString('en')} tokens; medians. Random directions have the ` +
            `variance of the decoder directions that they stand beside (at most ${figureText(100 * worstMatch)} % off). Latents are sparse, ` +
            'projections are not: compare decoder with random directions, and latents among themselves.',
        ],
        figures: [
          plot({
            title: 'Median autocorrelation',
            x: { label: 'lag (tokens)', scale: 'log' },
            y: { label: 'correlation' },
            marks: kinds.map((kind) => ({
              kind: 'line',
              name: NAMES[kind],
              x: lags,
              y: medians[kind].map((value) => value ?? NaN),
            })),
          }),
        ],
        tables: [
          {
            header: ['', ...lags.map((lag) => `lag ${lag}`)],
            rows: kinds.flatMap((kind) => [
              [NAMES[kind], ...medians[kind].map(figureText)],
              ['    95 %', ...intervals[kind].map(intervalText)],
            ]),
          },
          {
            caption: `Latents that persist longest (lag ${lags[last]})`,
            header: ['latent', ...lags.map((lag) => `lag ${lag}`)],
            rows: order
              .slice(0, LISTED)
              .map(({ latent, values }) => [String(latent), ...values.map(figureText)]),
          },
        ],
      },
      ...(overlap ? [subspaceSection(overlap)] : []),
    ],
  };
}

function subspaceSection({ rank, expected, shares }: SubspaceOverlap) {
  const order = [...shares.keys()].sort((a, b) => shares[b] - shares[a] || a - b);
  const mean = shares.reduce((sum, share) => sum + share, 0) / Math.max(1, shares.length);
  const counts = new Array<number>(20).fill(0);
  for (const share of shares) counts[Math.min(19, Math.floor(20 * share))]++;
  return {
    title: 'Overlap with the subspace',
    text: [
      `Of ${rank} dimensions. A random direction has ${figureText(expected)} of its square in it; decoder directions ${figureText(mean)} on average.`,
    ],
    figures: [
      plot({
        title: 'Decoder directions in the subspace',
        x: { label: 'share of the square', domain: [0, 1] },
        y: { label: 'latents' },
        marks: [
          { kind: 'histogram' as const, edges: Array.from({ length: 21 }, (_, i) => i / 20), counts },
          { kind: 'rule' as const, name: 'random', x: expected },
        ],
      }),
    ],
    tables: [
      {
        header: ['latent', 'share'],
        rows: order.slice(0, LISTED).map((latent) => [String(latent), figureText(shares[latent])]),
      },
    ],
  };
}
