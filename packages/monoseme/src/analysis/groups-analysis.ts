import { plot } from '../plots/index.ts';
import { figureText, percentText } from '../report/index.ts';
import { coActivationGraph, coActivationParts } from './co-activation-graph.ts';
import type { GroupShape } from './group-shape.ts';
import type { Groups } from './groups.ts';
import type { Analysis } from './write-analysis.ts';

const LISTED = 20;
const DRAWN = 4;
const LISTED_EDGES = 30;

/** @param label the token that a latent fires on most; '' where there are no tokens */
export function groupsAnalysis(
  { edges, groups, nGroups, nGrouped, nTokens }: Groups,
  label: (latent: number) => string,
): Analysis {
  const byDilution = groups.toSorted((a, b) => b.dilution - a.dilution || a.latents[0] - b.latents[0]);
  return {
    name: 'groups',
    title: 'Groups and manifolds',
    summary:
      nGroups === 0
        ? 'No three latents that fire have decoder directions with a cosine of 0.6.'
        : `${nGroups} groups hold ${nGrouped} latents; the most diluted has ${byDilution[0]?.latents.length ?? 0} latents in ` +
          `${figureText(byDilution[0]?.dimension)} dimensions.`,
    json: {
      ...{ n_tokens: nTokens, n_groups: nGroups, n_grouped: nGrouped },
      groups: byDilution.map((group) => ({
        latents: group.latents,
        n_tokens: group.nTokens,
        mean_active: group.meanActive,
        spectrum: group.spectrum,
        dimension: group.dimension,
        dilution: group.dilution,
        radius_spread: group.radiusSpread,
        angles_covered: group.anglesCovered,
      })),
      co_activation: edges.map(({ a, b, correlation, jaccard }) => [
        a,
        b,
        rounded(correlation),
        rounded(jaccard),
      ]),
    },
    sections: [
      {
        title: 'Groups by decoder cosine',
        text: [
          'Parts of the graph of decoder cosines of 0.6 and more, by their dilution: latents for each effective dimension of ' +
            'what they reconstruct. Many latents in few dimensions, one or two active at a time, cut up one structure; a circle ' +
            'has two dimensions, radius spread near 0 and all angles covered.',
        ],
        figures: byDilution.slice(0, DRAWN).map(picture),
        tables: [
          {
            header: [
              ...['latents', 'number', 'tokens', 'active at once', 'dimension', 'dilution'],
              ...['first two components', 'radius spread', 'angles covered'],
            ],
            rows: byDilution.slice(0, LISTED).map(groupRow),
          },
        ],
      },
      {
        title: 'Co-activation',
        text: [
          `${edges.length} pairs of latents correlate at 0.3 or more. Drawn: connected parts of the strongest 100, the wider ` +
            'a line the more; in a circle: the latent and the token it fires on most.',
        ],
        figures: coActivationParts(edges).map((part) => coActivationGraph(part, label)),
        tables: [
          {
            header: ['latent', 'latent', 'correlation', 'both of either'],
            rows: edges
              .slice(0, LISTED_EDGES)
              .map(({ a, b, correlation, jaccard }) => [
                String(a),
                String(b),
                figureText(correlation),
                percentText(jaccard),
              ]),
          },
        ],
      },
    ],
  };
}

const rounded = (value: number): number => Number(value.toPrecision(6));

function groupRow(group: GroupShape): string[] {
  const names = group.latents.slice(0, 8).join(', ');
  return [
    group.latents.length > 8 ? `${names}, …` : names,
    String(group.latents.length),
    group.nTokens.toLocaleString('en'),
    figureText(group.meanActive),
    figureText(group.dimension),
    figureText(group.dilution),
    percentText((group.spectrum[0] ?? 0) + (group.spectrum[1] ?? 0)),
    figureText(group.radiusSpread),
    percentText(group.anglesCovered),
  ];
}

/** What a group reconstructs in the plane of its first two components, and where its latents point. */
function picture({ latents, points, directions }: GroupShape): string {
  const reach = Math.max(...points.x.map(Math.abs), ...points.y.map(Math.abs));
  const length = Math.max(...directions.x.map((x, i) => Math.hypot(x, directions.y[i])), 1e-9);
  const rays = latents.map((_, i) => ({
    kind: 'line' as const,
    name: 'decoder directions',
    x: [0, (directions.x[i] / length) * reach],
    y: [0, (directions.y[i] / length) * reach],
  }));
  return plot({
    title: `Latents ${latents.slice(0, 6).join(', ')}${latents.length > 6 ? ', …' : ''}`,
    x: { label: 'first component' },
    y: { label: 'second component' },
    width: 340,
    height: 320,
    marks: [{ kind: 'points', name: 'reconstructions', x: points.x, y: points.y }, ...rays],
  });
}
