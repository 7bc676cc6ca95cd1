import { wholeCounts } from '../activation-histogram.ts';
import type { TableRow } from '../parquet-table.ts';
import { TOP_TOKENS, wilsonInterval } from '../row-parts.ts';
import { type DETAILS, type EXAMPLES, type FEATURES, LINEAR_BINS, NO_CLUSTER, QUANTILES } from '../schema.ts';
import { besidePeak, short } from '../short-float.ts';
import type { TokenMassEntry } from '../token-mass.ts';
import type { ReadFigures, ReadHistogram, TokenValue } from './dashboard-entry.ts';

/** An example of an export, its text one context of the corpus. */
export interface ReadRow {
  readonly context: number;
  /** Place of the largest activation in its context, its token, its value. */
  readonly peak: number;
  readonly peakToken: number;
  readonly activation: number;
  /** The other firings: distance from the peak, activation, token. */
  readonly offsets: readonly number[];
  readonly activations: readonly number[];
  readonly tokens: readonly number[];
  readonly binMin: number;
  readonly binMax: number;
}

interface Rows {
  readonly feature: TableRow<typeof FEATURES>;
  readonly details: TableRow<typeof DETAILS>;
  readonly examples: TableRow<typeof EXAMPLES>[];
  /** Intervals of activation that the examples are sorted into. */
  readonly nIntervals: number;
}

/**
 * The rows of a feature. What an export does not say is 0 or empty: figures of the weights, co-activation, the map.
 * Moments and quantiles are estimated from its histogram, tokens from its examples.
 */
export function rowsOfFeature(
  latent: number,
  figures: ReadFigures | undefined,
  read: readonly ReadRow[],
  corpus: {
    readonly nTokens: number;
    readonly contextSize: number;
    readonly tokenId: (text: string) => number;
  },
): Rows {
  const shown = read.filter(({ activation }) => activation > 0);
  const max = shown.reduce((most, { activation }) => Math.max(most, activation), 0);
  const histogram = figures?.histogram ?? { centres: [], counts: [] };
  const counted = histogram.counts.reduce((sum, count) => sum + count, 0);
  const density = figures?.fracNonzero ?? 0;
  const nFired = Math.round(corpus.nTokens > 0 ? density * corpus.nTokens : counted);
  const moments = momentsOf(histogram);
  const [low, high] = corpus.nTokens > 0 ? wilsonInterval(nFired, corpus.nTokens) : [density, density];
  const examples = exampleRows(latent, shown, corpus.contextSize);
  const { entries, total } = tokenMassOf(shown);
  const ids = (pairs: readonly TokenValue[]) => pairs.map(({ token }) => corpus.tokenId(token));
  const values = (pairs: readonly TokenValue[]) => pairs.map(({ value }) => short(value));
  const [top, bottom] = [figures?.topLogits ?? [], figures?.bottomLogits ?? []];
  const logits = figures?.logitHistogram ?? { centres: [], counts: [] };
  return {
    feature: {
      latent_index: latent,
      n_fired: nFired,
      density,
      density_low: short(low),
      density_high: short(high),
      n_contexts: new Set(shown.map(({ context }) => context)).size,
      max_activation: max,
      mean_activation: short(moments.mean),
      std_activation: short(moments.std),
      skewness: short(moments.skewness),
      kurtosis: short(moments.kurtosis),
      median_activation: short(quantileOf(histogram, 0.5)),
      top_token: entries[0]?.token ?? -1,
      top_token_share: short(entries.length > 0 ? entries[0].sum / total : 0),
      encoder_bias: 0,
      encoder_decoder_cosine: 0,
      decoder_norm: 0,
      nearest_cosine: short(figures?.neighbourCosines[0] ?? 0),
      max_logit: short(top[0]?.value ?? 0),
      min_logit: short(bottom[0]?.value ?? 0),
      logit_kurtosis: 0,
      map_x: 0,
      map_y: 0,
      cluster: NO_CLUSTER,
      mean_loss_change: 0,
      mean_kl: 0,
    },
    details: {
      latent_index: latent,
      histogram: nFired > 0 ? rebinned(histogram, 0, max) : [],
      log_histogram_start: 0,
      log_histogram: [],
      quantiles: counted > 0 ? QUANTILES.map((q) => short(quantileOf(histogram, q))) : [],
      top_logit_tokens: ids(top),
      top_logits: values(top),
      bottom_logit_tokens: ids(bottom),
      bottom_logits: values(bottom),
      logit_histogram: rebinned(logits, bottom[0]?.value ?? 0, top[0]?.value ?? 0),
      top_tokens: entries.slice(0, TOP_TOKENS).map(({ token }) => token),
      top_token_shares: entries.slice(0, TOP_TOKENS).map(({ sum }) => short(sum / total)),
      top_token_firings: entries.slice(0, TOP_TOKENS).map((entry) => entry.nFired),
      neighbours: [...(figures?.neighbours ?? [])],
      neighbour_cosines: (figures?.neighbourCosines ?? []).map(short),
      neurons: [...(figures?.neurons ?? [])],
      neuron_weights: (figures?.neuronWeights ?? []).map(short),
      neuron_shares: (figures?.neuronShares ?? []).map(short),
      correlated_neurons: [],
      neuron_correlations: [],
      coactive: [],
      coactive_lags: [],
      coactive_shares: [],
      coactive_pmis: [],
    },
    examples: examples.rows,
    nIntervals: examples.nIntervals,
  };
}

/** Tokens by the activation that falls on them in the examples, each context once. */
export function tokenMassOf(read: readonly ReadRow[]): { entries: TokenMassEntry[]; total: number } {
  const mass = new Map<number, { nFired: number; sum: number }>();
  const seen = new Set<number>();
  let total = 0;
  const add = (token: number, activation: number) => {
    const { nFired, sum } = mass.get(token) ?? { nFired: 0, sum: 0 };
    mass.set(token, { nFired: nFired + 1, sum: sum + activation });
    total += activation;
  };
  for (const row of read) {
    if (seen.has(row.context) || !(row.activation > 0)) continue;
    seen.add(row.context);
    add(row.peakToken, row.activation);
    row.tokens.forEach((token, i) => add(token, row.activations[i]));
  }
  const entries = [...mass].map(([token, { nFired, sum }]) => ({ token, nFired, sum }));
  return { entries: entries.sort((a, b) => b.sum - a.sum || a.token - b.token), total };
}

/** `binMin` −1 is the group of the strongest; the other pairs are intervals, the highest first. */
function exampleRows(
  latent: number,
  read: readonly ReadRow[],
  contextSize: number,
): { rows: TableRow<typeof EXAMPLES>[]; nIntervals: number } {
  const intervals = [...new Set(read.filter(({ binMin }) => binMin >= 0).map(({ binMax }) => binMax))].sort(
    (a, b) => b - a,
  );
  const groupOf = (row: ReadRow) => (row.binMin < 0 ? -1 : intervals.indexOf(row.binMax));
  const inOrder = [...read].sort((a, b) => groupOf(a) - groupOf(b) || b.activation - a.activation);
  const largest = read.reduce((most, { activation }) => Math.max(most, activation), 0);
  const ranks = new Map<number, number>();
  const shown = new Set<string>();
  const rows = inOrder.map((row) => {
    const interval = groupOf(row);
    const rank = ranks.get(interval) ?? 0;
    ranks.set(interval, rank + 1);
    const place = `${row.context} ${row.peak}`;
    const repeats = shown.has(place);
    shown.add(place);
    return {
      latent_index: latent,
      group: interval < 0 ? 'top' : 'interval',
      rank,
      interval: Math.max(0, interval),
      repeats,
      token_index: row.context * contextSize + row.peak,
      activation: short(row.activation),
      near_offsets: [...row.offsets],
      near_activations: besidePeak(row.activations, row.activation, largest),
    };
  });
  return { rows, nIntervals: intervals.length };
}

/** Counts in bins of equal width over [low, high]; what an edge cuts is shared out by width, sums are exact. */
function rebinned({ centres, counts }: ReadHistogram, low: number, high: number): ArrayLike<number> {
  if (centres.length < 2 || !(high > low)) return [];
  const width = centres[1] - centres[0];
  if (!(width > 0)) return [];
  const shares = new Float64Array(LINEAR_BINS);
  const scale = LINEAR_BINS / (high - low);
  counts.forEach((count, i) => {
    const from = clamped((centres[i] - width / 2 - low) * scale);
    const to = clamped((centres[i] + width / 2 - low) * scale);
    if (to <= from) {
      shares[Math.min(LINEAR_BINS - 1, Math.floor(from))] += count;
      return;
    }
    for (let bin = Math.floor(from); bin < to; bin++)
      shares[bin] += (count * (Math.min(to, bin + 1) - Math.max(from, bin))) / (to - from);
  });
  return wholeCounts(shares);
}

function clamped(place: number): number {
  return Math.min(LINEAR_BINS, Math.max(0, place));
}

/** Mean, spread and shape as if every firing stood at the centre of its bin. */
function momentsOf({ centres, counts }: ReadHistogram): {
  mean: number;
  std: number;
  skewness: number;
  kurtosis: number;
} {
  const n = counts.reduce((sum, count) => sum + count, 0);
  if (!(n > 0)) return { mean: 0, std: 0, skewness: 0, kurtosis: 0 };
  const average = (of: (centre: number) => number) =>
    counts.reduce((sum, count, i) => sum + count * of(centres[i]), 0) / n;
  const mean = average((x) => x);
  const std = Math.sqrt(average((x) => (x - mean) ** 2));
  if (!(std > 0)) return { mean, std: 0, skewness: 0, kurtosis: 0 };
  return {
    mean,
    std,
    skewness: average((x) => ((x - mean) / std) ** 3),
    kurtosis: average((x) => ((x - mean) / std) ** 4),
  };
}

/** The value below which a share q of the firings lies, interpolated inside a bin. */
function quantileOf({ centres, counts }: ReadHistogram, q: number): number {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const width = centres.length > 1 ? centres[1] - centres[0] : 0;
  let below = 0;
  for (let bin = 0; bin < counts.length; bin++) {
    if (counts[bin] > 0 && below + counts[bin] >= q * total)
      return Math.max(0, centres[bin] + width * ((q * total - below) / counts[bin] - 0.5));
    below += counts[bin];
  }
  return 0;
}
