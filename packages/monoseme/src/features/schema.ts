import type { TableSchema } from './parquet-table.ts';

/**
 * The tables of a feature index and the meaning of their columns; docs/feature-index.md says it at length.
 * A change that a reader of the old form could misread raises the version.
 */
export const INDEX_VERSION = 3;

/** Latents in one file of `details/` and `examples/`: the file's footer stays small enough to read at once. */
export const LATENTS_PER_PART = 4096;
/** Latents whose details, and whose examples, one range read brings. */
export const LATENTS_PER_ROW_GROUP = 64;
/** Bins of equal width over [0, max] of a latent: four to each of the paper's 12 intervals. */
export const LINEAR_BINS = 48;

/** `features.parquet`: one row a latent, in order, of single figures. What a list sorts by; read column by column. */
export const FEATURES = {
  latent_index: 'int32',
  n_fired: 'int32',
  /** n_fired / tokens of the corpus. */
  density: 'float',
  /** Wilson's 95 % interval of the density, as if tokens were independent. */
  density_low: 'float',
  density_high: 'float',
  n_contexts: 'int32',
  max_activation: 'float',
  mean_activation: 'float',
  std_activation: 'float',
  skewness: 'float',
  kurtosis: 'float',
  median_activation: 'float',
  /** The token that carries most of the activation, −1 when the latent never fired, and the share it carries. */
  top_token: 'int32',
  top_token_share: 'float',
  encoder_bias: 'float',
  encoder_decoder_cosine: 'float',
  decoder_norm: 'float',
  /** Largest decoder cosine with another latent. */
  nearest_cosine: 'float',
  /** Largest and smallest logit weight; 0 when the index has none. */
  max_logit: 'float',
  min_logit: 'float',
  logit_kurtosis: 'float',
  /** Place on the map of directions, and the group of near directions, 0 the largest, −1 where there is no map. */
  map_x: 'float',
  map_y: 'float',
  cluster: 'int32',
  /** Means over random firings of what taking the latent out changes, in nats; 0 without ablations. */
  mean_loss_change: 'float',
  mean_kl: 'float',
} as const satisfies TableSchema;

/** The same figures latent by latent, with what a list shows of its first example: {@link CardWriter}. */
export const CARDS = 'cards.bin';

/** `details/part-NNNNN.parquet`: one row a latent, in order, of lists. What a feature's page shows. */
export const DETAILS = {
  latent_index: 'int32',
  /** Firing activations in 48 bins of equal width over [0, max_activation]. */
  histogram: 'list<int32>',
  /** The same on the logarithmic edges of the manifest, without the empty bins below and above. */
  log_histogram_start: 'int32',
  log_histogram: 'list<int32>',
  /** Activations below which 1, 5, 10, 25, 50, 75, 90, 95 and 99 % of the firings lie. */
  quantiles: 'list<float>',
  top_logit_tokens: 'list<int32>',
  top_logits: 'list<float>',
  bottom_logit_tokens: 'list<int32>',
  bottom_logits: 'list<float>',
  logit_histogram: 'list<int32>',
  /** Tokens that carry most of the activation: share of it, firings. */
  top_tokens: 'list<int32>',
  top_token_shares: 'list<float>',
  top_token_firings: 'list<int32>',
  neighbours: 'list<int32>',
  neighbour_cosines: 'list<float>',
  /** Elements of the activation in which the direction is largest, its value there, its share of the L1 norm. */
  neurons: 'list<int32>',
  neuron_weights: 'list<float>',
  neuron_shares: 'list<float>',
  /** Elements with the largest Pearson correlation with the latent, over all tokens. */
  correlated_neurons: 'list<int32>',
  neuron_correlations: 'list<float>',
  /**
   * Latents that fire beside this one more often than chance: how many tokens later (−2 to 2), at which share of its
   * firings, and ln(share / density of the other).
   */
  coactive: 'list<int32>',
  coactive_lags: 'list<int32>',
  coactive_shares: 'list<float>',
  coactive_pmis: 'list<float>',
} as const satisfies TableSchema;

/** `examples/part-NNNNN.parquet`: one row an example, by latent, then in the order of reading. */
export const EXAMPLES = {
  latent_index: 'int32',
  /** `top`, `interval`, `quantile`, `random` or `near_miss` (similar text on which the latent is silent). */
  group: 'string',
  rank: 'few int32',
  /** Which twelfth of [0, max] the activation lies in, 0 the highest; for `quantile` which fifth of the firings. */
  interval: 'few int32',
  repeats: 'boolean',
  /** The peak: index into `corpus/tokens.bin`. */
  token_index: 'int32',
  activation: 'float',
  /** Other firings within `window_radius` tokens and in the same context: distance from the peak, activation (to 1.6 %). */
  near_offsets: 'list<few int32>',
  near_activations: 'list<few float>',
} as const satisfies TableSchema;

/** `effects/part-NNNNN.parquet`, in an index with ablations: what taking a latent out at one token changes. */
export const EFFECTS = {
  latent_index: 'int32',
  /** Where it was taken out; an example's peak, or another firing near one. */
  token_index: 'int32',
  /** Loss of the next token without the latent minus with it, in nats. */
  loss_change: 'float',
  /** KL(with ‖ without) of the next token, in nats. */
  kl: 'float',
  /** Tokens that become likelier without it, and less likely, with the change of their log-probability. */
  raised_tokens: 'list<int32>',
  raised: 'list<float>',
  lowered_tokens: 'list<int32>',
  lowered: 'list<float>',
} as const satisfies TableSchema;

/** `token_latents.parquet`: which latents fire on a token. By token, then by mean activation, largest first. */
export const TOKEN_LATENTS = {
  token: 'int32',
  latent_index: 'int32',
  n_fired: 'int32',
  /** Mean over all occurrences of the token, those without a firing included. */
  mean_activation: 'float',
  /** Share of the latent's whole activation that falls on this token. */
  share: 'float',
} as const satisfies TableSchema;

/** `logit_latents.parquet`: which latents raise a token's logit most. By token, then by weight, largest first. */
export const LOGIT_LATENTS = {
  token: 'int32',
  latent_index: 'int32',
  /** The token is among the ten largest logit weights of the latent; what one unit adds to its logit. */
  weight: 'float',
} as const satisfies TableSchema;

/** `example_places.parquet`: where firing examples peak, by place in the text: what a search of the text needs. */
export const EXAMPLE_PLACES = {
  token_index: 'int32',
  latent_index: 'int32',
} as const satisfies TableSchema;

/** `clusters.parquet`: the groups of the map that have latents that fire, in order. */
export const CLUSTERS = {
  cluster: 'int32',
  /** Latents that fire. */
  n_features: 'int32',
  /** Mean of their places on the map. */
  map_x: 'float',
  map_y: 'float',
  /** Tokens that tell it from the others: those on which more of its latents fire most than chance would have. */
  tokens: 'list<int32>',
} as const satisfies TableSchema;

/** `cluster` of a latent in an index without a map. */
export const NO_CLUSTER = -1;

/** `explanations-HASH.parquet`, where explanations were added: what people or models say of latents. By latent. */
export const EXPLANATIONS = {
  latent_index: 'int32',
  text: 'string',
  /** How it was made and by which model, empty where it is not said; its score, NaN without one, and what that measures. */
  method: 'string',
  model: 'string',
  score: 'float',
  score_name: 'string',
} as const satisfies TableSchema;

/** `corpus/documents.parquet`: the documents that the corpus was joined from. */
export const DOCUMENTS = {
  document_index: 'int32',
  id: 'string',
  source: 'string',
  /** First token and number of tokens. */
  start: 'int32',
  length: 'int32',
} as const satisfies TableSchema;

export const QUANTILES = [0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99] as const;

export function partName(table: 'details' | 'examples' | 'effects', part: number): string {
  return `${table}/part-${String(part).padStart(5, '0')}.parquet`;
}

/** A file of the index, as the manifest lists it. */
export interface IndexFile {
  readonly path: string;
  readonly bytes: number;
  readonly sha256: string;
  /** Rows of a table. */
  readonly rows?: number;
}

/** `details` of the index's manifest: everything a reader needs before it opens a table. */
export interface IndexDetails {
  readonly index_version: number;
  /** Which export the index was made of; not there in one made from a dictionary. */
  readonly imported_from?: 'saedashboard' | 'neuronpedia';
  readonly dictionary: {
    readonly architecture: string;
    readonly d_in: number;
    readonly d_sae: number;
    readonly hook_name: string;
    readonly model_name: string;
  };
  /** Figures of the evaluation report, by their names on disk; empty when there was none. */
  readonly evaluation: Readonly<Record<string, number>>;
  readonly corpus: {
    readonly n_tokens: number;
    readonly n_contexts: number;
    readonly context_size: number;
    readonly n_documents: number;
    /** Bytes of one token in `corpus/tokens.bin`, little-endian: 2 or 4. */
    readonly token_bytes: 2 | 4;
    readonly vocab_size: number;
    /** Tokens of each source. */
    readonly sources: Readonly<Record<string, number>>;
    /** Where contexts are samples of arrays: what tokens, the places in a sample, count in row-major order. */
    readonly axes?: readonly { readonly name: string; readonly size: number }[];
  };
  readonly examples: {
    readonly n_top: number;
    readonly n_intervals: number;
    readonly per_interval: number;
    readonly per_fifth: number;
    readonly n_random: number;
    readonly n_near_misses: number;
    readonly window_radius: number;
  };
  /** Null in an index without ablations. `by_token`: the model's second half ran on single tokens. */
  readonly effects: { readonly n_rows: number; readonly by_token: boolean } | null;
  /** Tokens of the text, from its start, that co-activation looks at. Older indexes looked at a sample of the firings there. */
  readonly co_activation: { readonly n_tokens: number; readonly is_exact?: true };
  /** Tokens of the text, from its start, in which near misses are looked for. Older indexes do not say it. */
  readonly near_misses?: { readonly n_tokens: number };
  readonly histogram: { readonly linear_bins: number; readonly log_edges: readonly number[] };
  readonly logits: { readonly n_top: number; readonly bins: number; readonly n_tokens: number } | null;
  /** Not there in an index to which none were added. */
  readonly explanations?: { readonly path: string; readonly n_rows: number; readonly n_features: number };
  readonly latents_per_part: number;
  readonly latents_per_row_group: number;
  readonly files: readonly IndexFile[];
}
