import { snakeCaseKeys } from '../formats/index.ts';
import { plot } from '../plots/index.ts';
import { figureText, intervalText, type ReportSection } from '../report/index.ts';
import type { MatchSimilarity } from './match-similarity.ts';
import { MIN_FIRED, type Universality } from './universality.ts';
import type { Analysis } from './write-analysis.ts';

/** Latents whose match is listed. */
const LISTED = 20;

export interface UniversalityReport {
  readonly latents: Universality;
  /** The same between the neurons of the two models; absent when they are the same neurons. */
  readonly neurons?: Universality;
  /** What was compared: tokens, or pieces of text where the tokenizers differ. */
  readonly unit: 'tokens' | 'pieces of text';
  readonly similarity?: MatchSimilarity;
}

export function universalityAnalysis({ latents, neurons, unit, similarity }: UniversalityReport): Analysis {
  const sides = [['latents', latents] as const, ...(neurons ? [['neurons', neurons] as const] : [])];
  const compared = `${latents.nTokens.toLocaleString('en')} ${unit}`;
  return {
    name: 'universality',
    title: 'Universality',
    summary:
      `The median correlation of a latent with its best match in the other dictionary is ${figureText(latents.median)}` +
      (neurons
        ? `; of a neuron with the best neuron of the other model, ${figureText(neurons.median)}.`
        : '.'),
    figures: {
      median: latents.median ?? null,
      matches: latents.matches.length - latents.nWithout,
      medianOfNeurons: neurons?.median ?? null,
    },
    json: {
      ...{ n_compared: latents.nTokens, unit },
      ...{ latents: sideJson(latents), neurons: neurons ? sideJson(neurons) : null },
      similarity: similarity ? similarityJson(similarity) : null,
    },
    sections: [
      {
        title: 'Best matches',
        text: [
          `Pearson correlation of activations over ${compared}. Latents active on fewer than ${MIN_FIRED} have no match.`,
          ...(unit === 'tokens'
            ? []
            : [
                'The tokenizers differ: a piece reaches from one place where both cut the text to the next, and a latent is ' +
                  'as active on it as on its most active token.',
              ]),
          ...(neurons
            ? []
            : ['Both dictionaries read the same neurons, so there is no comparison with neurons.']),
        ],
        figures: [
          plot({
            title: 'Correlation with the best match',
            x: { label: 'Pearson correlation', domain: [0, 1] },
            y: { label: 'share' },
            marks: sides.map(([name, side]) => ({ kind: 'line', name, ...distribution(side) })),
          }),
        ],
        tables: [
          {
            header: ['', 'compared', 'without a match', 'median correlation', '95 %, over latents'],
            rows: sides.map(([name, { matches, nWithout, median, interval }]) => [
              name,
              String(matches.length - nWithout),
              String(nWithout),
              figureText(median),
              intervalText(interval),
            ]),
          },
          bestMatches(latents),
        ],
      },
      ...(similarity ? [similaritySection(similarity)] : []),
    ],
  };
}

function sideJson({ matches, median, interval, nWithout }: Universality) {
  return {
    ...{ median: median ?? null, interval: interval ?? null, n_without: nWithout },
    matches: matches.map(({ match, correlation }) => (match === undefined ? null : [match, correlation])),
  };
}

/** Share of the latents by their correlation, in twenty bins. */
function distribution({ matches }: Universality): { x: number[]; y: number[] } {
  const known = matches.flatMap(({ correlation }) => correlation ?? []);
  const counts = new Array<number>(20).fill(0);
  for (const value of known) counts[Math.min(19, Math.max(0, Math.floor(20 * value)))]++;
  return {
    x: counts.map((_, i) => (i + 0.5) / 20),
    y: counts.map((count) => count / Math.max(1, known.length)),
  };
}

function bestMatches({ matches }: Universality) {
  const known = matches.filter(({ correlation }) => correlation !== undefined);
  known.sort((a, b) => b.correlation! - a.correlation! || a.latent - b.latent);
  return {
    caption: 'The closest matches',
    header: ['latent', 'its match', 'correlation', 'active on'],
    rows: known
      .slice(0, LISTED)
      .map(({ latent, match, correlation, nFired }) => [
        ...[String(latent), String(match), figureText(correlation), nFired.toLocaleString('en')],
      ]),
  };
}

function similarityJson({ pairs, medians, withActivations, nTokens, nVocabulary }: MatchSimilarity) {
  const known = (values: Readonly<Record<string, number | undefined>>) =>
    snakeCaseKeys(Object.fromEntries(Object.entries(values).map(([key, value]) => [key, value ?? null])));
  return {
    ...{ n_tokens: nTokens, n_vocabulary: nVocabulary },
    ...{ medians: known(medians), with_activations: known(withActivations) },
    pairs: pairs.map(({ attributions, ...pair }) => ({
      ...snakeCaseKeys({ ...pair }),
      attributions: attributions ?? null,
    })),
  };
}

function similaritySection(similarity: MatchSimilarity): ReportSection {
  const { pairs, medians, withActivations, nTokens, nVocabulary } = similarity;
  const names = { logitWeights: 'logit weights', attributions: 'attributions' } as const;
  const kinds = Object.keys(names) as (keyof typeof names)[];
  return {
    title: 'Whether matches do the same',
    text: [
      `${pairs.length.toLocaleString('en')} latents and their matches. Logit weights: Pearson correlation over the ` +
        `${nVocabulary.toLocaleString('en')} tokens of the vocabulary that occur here. Attributions, the activation at a token ` +
        `times the logit weight of the next: over ${nTokens.toLocaleString('en')} tokens.`,
    ],
    figures: [
      plot({
        title: 'What matches do, by how they are active',
        x: { label: 'correlation of activations', domain: [0, 1] },
        y: { label: 'correlation', domain: [-1, 1] },
        marks: kinds.map((kind) => {
          const known = pairs.filter((pair) => pair[kind] !== undefined);
          return {
            ...{ kind: 'points', name: names[kind] },
            ...{ x: known.map((pair) => pair.activations), y: known.map((pair) => pair[kind]!) },
          } as const;
        }),
      }),
    ],
    tables: [
      {
        header: ['', 'median correlation of a latent with its match', 'correlation with that of activations'],
        rows: kinds.map((kind) => [
          names[kind],
          figureText(medians[kind]),
          figureText(withActivations[kind]),
        ]),
      },
    ],
  };
}
