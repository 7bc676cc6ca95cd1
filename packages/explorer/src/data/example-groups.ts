import type { ExampleRow, FeatureIndex } from './feature-index.ts';
import type { Example, FeaturePage } from './feature-page.ts';
import { count, figure, percent } from './format.ts';

/** Which examples are shown. */
export const SECTIONS = ['height', 'share', 'random', 'contrast'] as const;
export type Section = (typeof SECTIONS)[number];

export interface ExampleGroup {
  readonly title: string;
  readonly note: string;
  readonly examples: readonly Example[];
}

const FIFTHS = ['Strongest fifth', 'Second fifth', 'Middle fifth', 'Fourth fifth', 'Weakest fifth'];

/** The groups of a section, in the order of reading. */
export function exampleGroups(index: FeatureIndex, page: FeaturePage, section: Section): ExampleGroup[] {
  const of = (name: ExampleRow['group']) => page.examples.filter(({ row }) => row.group === name);
  const top: ExampleGroup = { title: 'Top', note: 'the largest activations', examples: of('top') };
  if (section === 'height') return [top, ...intervals(index, page, of('interval'))];
  if (section === 'share') return fifths(page, of('quantile'));
  if (section === 'random')
    return [
      { title: 'Random', note: 'drawn from all its firings, none passed over', examples: of('random') },
    ];
  const silent = of('near_miss');
  return [
    { title: 'Fires', note: 'the largest activations', examples: top.examples.slice(0, 10) },
    {
      title: 'Stays silent',
      note:
        silent.length > 0
          ? 'on the same tokens, in the most similar text'
          : 'nowhere on its tokens, as far as was looked',
      examples: silent,
    },
  ];
}

/** Intervals carry their bounds and what share of the firings lies in them. */
function intervals(
  index: FeatureIndex,
  { feature, details }: FeaturePage,
  examples: Example[],
): ExampleGroup[] {
  const { n_intervals } = index.manifest.examples;
  const perInterval = details.histogram.length / n_intervals;
  return Array.from({ length: n_intervals }, (_, interval) => {
    const high = (feature.max_activation * (n_intervals - interval)) / n_intervals;
    const low = (feature.max_activation * (n_intervals - interval - 1)) / n_intervals;
    const first = (n_intervals - interval - 1) * perInterval;
    const firings = details.histogram.slice(first, first + perInterval).reduce((sum, n) => sum + n, 0);
    return {
      title: `${figure(low)} to ${figure(high)}`,
      note: `interval ${interval} · ${percent(firings / feature.n_fired)} of its firings, ${count(firings)}`,
      examples: examples.filter(({ row }) => row.interval === interval),
    };
  }).filter((group) => group.examples.length > 0);
}

function fifths({ feature }: FeaturePage, examples: Example[]): ExampleGroup[] {
  return FIFTHS.map((title, fifth) => ({
    title,
    note: `of its firings, ${count(Math.round(feature.n_fired / 5))}`,
    examples: examples.filter(({ row }) => row.interval === fifth),
  })).filter((group) => group.examples.length > 0);
}
