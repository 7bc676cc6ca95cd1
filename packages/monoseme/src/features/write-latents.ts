import { type Dictionary, type Neighbours, type WeightFigures, weightFigures } from '../dictionary/index.ts';
import type { Bins } from './activation-histogram.ts';
import type { CoActivation, CoActiveLatents } from './co-activation.ts';
import type { Example } from './choose-examples.ts';
import type { FeatureIndexBuilder } from './feature-index-builder.ts';
import type { FeatureMap } from './feature-map.ts';
import { LatentTables } from './latent-tables.ts';
import type { LogitEffects } from './logit-effects.ts';
import type { MeanEffect } from './measure-effects.ts';
import type { TableRow } from './parquet-table.ts';
import {
  type DETAILS,
  type EXAMPLES,
  type FEATURES,
  type IndexFile,
  LINEAR_BINS,
  QUANTILES,
} from './schema.ts';
import { TOP_TOKENS, wilsonInterval } from './row-parts.ts';
import { besidePeak, rough, short, shorts } from './short-float.ts';

const NEIGHBOURS = 10;
const CORRELATED_NEURONS = 3;

export interface LatentTablesInput {
  readonly folder: string;
  readonly builder: FeatureIndexBuilder;
  readonly dictionary: Dictionary;
  /** One for each latent in order; nothing when the index has no logits. */
  readonly logits: AsyncIterator<LogitEffects> | undefined;
  /** [dSae] */
  readonly neighbours: readonly Neighbours[];
  readonly coActivation: CoActivation;
  readonly map: FeatureMap;
  /** Means over the firings of a latent drawn at random, where ablations were made. */
  readonly meanEffects: ReadonlyMap<number, MeanEffect>;
  /** Binary exponents between which the logarithmic histograms lie. */
  readonly logRange: readonly [number, number];
  readonly onLatent?: (latent: number) => void;
}

/** What is known of one latent. */
interface LatentRecord {
  readonly latent: number;
  readonly examples: Example[];
  readonly weights: WeightFigures;
  readonly logits: LogitEffects | undefined;
  readonly neighbours: Neighbours;
  readonly coActive: CoActiveLatents;
}

/** Write `features.parquet` and the parts of `details/` and `examples/`, latent by latent. */
export async function writeLatentTables(input: LatentTablesInput): Promise<IndexFile[]> {
  const { folder, builder, dictionary, onLatent } = input;
  const { dIn } = dictionary.config;
  const tables = new LatentTables(folder);
  let latent = 0;
  for await (const coActive of input.coActivation.latents()) {
    const record: LatentRecord = {
      latent,
      examples: builder.examples(latent),
      weights: weightFigures(dictionary.weights, latent, dIn),
      logits: (await input.logits?.next())?.value,
      neighbours: input.neighbours[latent],
      coActive,
    };
    const max = builder.moments.max[latent];
    await tables.add(
      featureRow(builder, record, input.map, input.meanEffects.get(latent)),
      detailsRow(builder, record, input.logRange),
      record.examples.map((example) => exampleRow(latent, example, max)),
    );
    latent++;
    onLatent?.(latent);
  }
  return tables.finish();
}

function featureRow(
  builder: FeatureIndexBuilder,
  { latent, weights, logits, neighbours }: LatentRecord,
  map: FeatureMap,
  effect: MeanEffect | undefined,
): TableRow<typeof FEATURES> {
  const moments = builder.moments.of(latent);
  const [low, high] = wilsonInterval(moments.nFired, builder.nTokens);
  const heaviest = builder.tokenMass.of(latent)[0];
  return {
    latent_index: latent,
    n_fired: moments.nFired,
    density: moments.nFired / builder.nTokens,
    density_low: short(low),
    density_high: short(high),
    n_contexts: moments.nContexts,
    max_activation: moments.max,
    mean_activation: short(moments.mean),
    std_activation: short(moments.std),
    skewness: short(moments.skewness),
    kurtosis: short(moments.kurtosis),
    median_activation: short(moments.nFired ? builder.histogram.quantile(latent, 0.5, moments.max) : 0),
    top_token: heaviest ? heaviest.token : -1,
    top_token_share: short(heaviest ? heaviest.sum / builder.moments.sum(latent) : 0),
    encoder_bias: short(weights.encoderBias),
    encoder_decoder_cosine: short(weights.encoderDecoderCosine),
    decoder_norm: short(weights.decoderNorm),
    nearest_cosine: short(neighbours.cosines[0] ?? 0),
    max_logit: short(logits?.topWeights[0] ?? 0),
    min_logit: short(logits?.bottomWeights[0] ?? 0),
    logit_kurtosis: short(logits?.kurtosis ?? 0),
    map_x: short(map.coordinates[2 * latent]),
    map_y: short(map.coordinates[2 * latent + 1]),
    cluster: map.clusters[latent],
    mean_loss_change: short(effect?.lossChange ?? 0),
    mean_kl: short(effect?.divergence ?? 0),
  };
}

function detailsRow(
  builder: FeatureIndexBuilder,
  { latent, weights, logits, neighbours, coActive }: LatentRecord,
  [lowest, highest]: readonly [number, number],
): TableRow<typeof DETAILS> {
  const { max, nFired } = builder.moments.of(latent);
  const mass = builder.tokenMass.of(latent).slice(0, TOP_TOKENS);
  const { histogram } = builder;
  const log = nFired ? trimmed(histogram.logarithmic(latent, lowest, highest)) : { start: 0, counts: [] };
  const total = builder.moments.sum(latent);
  const correlated = builder.correlatedNeurons(latent, CORRELATED_NEURONS);
  return {
    latent_index: latent,
    histogram: nFired ? histogram.linear(latent, LINEAR_BINS, max) : [],
    log_histogram_start: log.start,
    log_histogram: log.counts,
    quantiles: nFired ? QUANTILES.map((q) => rough(histogram.quantile(latent, q, max))) : [],
    top_logit_tokens: logits?.topTokens ?? [],
    top_logits: shorts(logits?.topWeights),
    bottom_logit_tokens: logits?.bottomTokens ?? [],
    bottom_logits: shorts(logits?.bottomWeights),
    logit_histogram: logits?.histogram ?? [],
    top_tokens: mass.map((entry) => entry.token),
    top_token_shares: mass.map((entry) => rough(entry.sum / total)),
    top_token_firings: mass.map((entry) => entry.nFired),
    neighbours: neighbours.latents.subarray(0, NEIGHBOURS),
    neighbour_cosines: neighbours.cosines.subarray(0, NEIGHBOURS).map(rough),
    neurons: weights.neurons,
    neuron_weights: shorts(weights.neuronWeights),
    neuron_shares: shorts(weights.neuronShares),
    correlated_neurons: correlated.neurons,
    neuron_correlations: correlated.correlations.map(short),
    coactive: coActive.latents,
    coactive_lags: coActive.lags,
    coactive_shares: coActive.shares.map(rough),
    coactive_pmis: coActive.pmis.map(rough),
  };
}

function exampleRow(latent: number, example: Example, max: number): TableRow<typeof EXAMPLES> {
  return {
    latent_index: latent,
    group: example.group,
    rank: example.rank,
    interval: example.interval,
    repeats: example.repeats,
    token_index: example.position,
    activation: short(example.activation),
    near_offsets: example.near.offsets,
    near_activations: besidePeak(example.near.activations, example.activation, max),
  };
}

function trimmed(counts: Bins['counts'] | Uint32Array): { start: number; counts: ArrayLike<number> } {
  let start = 0;
  while (start < counts.length && counts[start] === 0) start++;
  let end = counts.length;
  while (end > start && counts[end - 1] === 0) end--;
  return { start, counts: counts.slice(start, end) };
}
