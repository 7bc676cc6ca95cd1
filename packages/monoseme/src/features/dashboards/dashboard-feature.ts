import type { ExampleInText, FeatureRecord } from '../feature-records.ts';
import { type IndexDetails, LINEAR_BINS } from '../schema.ts';

/**
 * A feature by the keys that SAEDashboard and Neuronpedia share. Values are rounded to 5 decimals as theirs.
 *
 * Deviations: `frac_nonzero` is exact (theirs is read back from a title with three decimals of a percent);
 * `correlated_neurons_*` and `correlated_features_*` stay empty, since a reader needs a cosine beside each Pearson
 * correlation that an index does not hold.
 */
export interface DashboardFigures {
  readonly neuron_alignment_indices: number[];
  /** Elements of the direction, and their share of its L1 norm. */
  readonly neuron_alignment_values: number[];
  readonly neuron_alignment_l1: number[];
  readonly correlated_neurons_indices: number[];
  readonly correlated_neurons_l1: number[];
  readonly correlated_neurons_pearson: number[];
  readonly correlated_features_indices: number[];
  readonly correlated_features_l1: number[];
  readonly correlated_features_pearson: number[];
  readonly neg_str: string[];
  readonly neg_values: number[];
  readonly pos_str: string[];
  readonly pos_values: number[];
  readonly frac_nonzero: number;
  /** Centres of the bins, and how many firings lie in each. */
  readonly freq_hist_data_bar_values: number[];
  readonly freq_hist_data_bar_heights: number[];
  /** Centres of the bins, and how many tokens of the vocabulary lie in each. */
  readonly logits_hist_data_bar_values: number[];
  readonly logits_hist_data_bar_heights: number[];
  readonly decoder_weights_dist: number[];
}

export function dashboardFigures(
  { figures, details }: FeatureRecord,
  texts: readonly string[],
): DashboardFigures {
  const { max_activation: max, min_logit: least, max_logit: most } = figures;
  return {
    neuron_alignment_indices: details.neurons,
    neuron_alignment_values: rounded(details.neuron_weights),
    neuron_alignment_l1: rounded(details.neuron_shares),
    correlated_neurons_indices: [],
    correlated_neurons_l1: [],
    correlated_neurons_pearson: [],
    correlated_features_indices: [],
    correlated_features_l1: [],
    correlated_features_pearson: [],
    neg_str: textsOf(details.bottom_logit_tokens, texts),
    neg_values: rounded(details.bottom_logits),
    pos_str: textsOf(details.top_logit_tokens, texts),
    pos_values: rounded(details.top_logits),
    frac_nonzero: figures.density,
    freq_hist_data_bar_values: centres(details.histogram.length, 0, max),
    freq_hist_data_bar_heights: details.histogram,
    logits_hist_data_bar_values: centres(details.logit_histogram.length, least, most),
    logits_hist_data_bar_heights: details.logit_histogram,
    decoder_weights_dist: [],
  };
}

/** Examples that a dashboard shows under one heading: the strongest ones, then those of each interval. */
export interface DashboardExample {
  readonly example: ExampleInText;
  /** Interval of activations; −1 and the maximum for the strongest. */
  readonly binMin: number;
  readonly binMax: number;
  /** Share of the firings whose activation lies in the interval; −1 for the strongest. */
  readonly binContains: number;
}

/** `top` and `interval` examples, the strongest first. */
export function dashboardExamples(
  { figures, details, examples }: FeatureRecord,
  { n_intervals: nIntervals }: IndexDetails['examples'],
): DashboardExample[] {
  const { max_activation: max, n_fired: nFired } = figures;
  const shown = examples.filter(({ group }) => group === 'top' || group === 'interval');
  const inOrder = shown.sort(
    (a, b) =>
      Number(a.group === 'interval') - Number(b.group === 'interval') ||
      (a.group === 'interval' ? a.interval - b.interval : 0) ||
      a.rank - b.rank,
  );
  return inOrder.map((example) => {
    if (example.group === 'top') return { example, binMin: -1, binMax: rounded5(max), binContains: -1 };
    const fromBelow = nIntervals - 1 - example.interval;
    const bins = details.histogram.slice(
      Math.round((fromBelow * LINEAR_BINS) / nIntervals),
      Math.round(((fromBelow + 1) * LINEAR_BINS) / nIntervals),
    );
    return {
      example,
      binMin: rounded5((max * fromBelow) / nIntervals),
      binMax: rounded5((max * (fromBelow + 1)) / nIntervals),
      binContains: rounded5(bins.reduce((sum, count) => sum + count, 0) / nFired),
    };
  });
}

function centres(n: number, low: number, high: number): number[] {
  return Array.from({ length: n }, (_, i) => rounded5(low + ((i + 0.5) * (high - low)) / n));
}

/** A loop, as in `textsOf`: exports spend most of their time on lists of millions of numbers and texts. */
export function rounded(values: ArrayLike<number>): number[] {
  const list = new Array<number>(values.length);
  for (let i = 0; i < values.length; i++) list[i] = rounded5(values[i]);
  return list;
}

/** The texts of tokens. */
export function textsOf(tokens: ArrayLike<number>, texts: readonly string[]): string[] {
  const list = new Array<string>(tokens.length);
  for (let i = 0; i < tokens.length; i++) list[i] = texts[tokens[i]];
  return list;
}

/** To 5 decimals. */
export function rounded5(value: number): number {
  return Math.round(value * 1e5) / 1e5;
}
