import type { FeatureIndex } from './feature-index.ts';
import type { FeaturePage } from './feature-page.ts';

/** What the page shows of a feature, with the texts of its tokens, for other programs. */
export function featureJson(index: FeatureIndex, page: FeaturePage): string {
  const { dictionary, corpus } = index.manifest;
  const texts = (tokens: readonly number[], values: readonly number[]) =>
    tokens.map((token, i) => ({ token, text: index.vocabulary.text(token), value: values[i] }));
  const { details, feature, effects } = page;
  const json = {
    latent_index: page.latent,
    dictionary,
    corpus: { n_tokens: corpus.n_tokens, context_size: corpus.context_size },
    figures: feature,
    explanations: page.explanations,
    histogram: details.histogram,
    quantiles: details.quantiles,
    top_logits: texts(details.top_logit_tokens, details.top_logits),
    bottom_logits: texts(details.bottom_logit_tokens, details.bottom_logits),
    top_tokens: texts(details.top_tokens, details.top_token_shares),
    neighbours: pairs(details.neighbours, details.neighbour_cosines),
    coactive: details.coactive.map((latent, i) => ({
      latent_index: latent,
      lag: details.coactive_lags[i],
      share: details.coactive_shares[i],
      pmi: details.coactive_pmis[i],
    })),
    examples: page.examples.map(({ row, segments, document }) => ({
      group: row.group,
      interval: row.interval,
      activation: row.activation,
      token_index: row.token_index,
      document: document?.id,
      text: segments.map(({ text }) => text).join(''),
      tokens: segments.flatMap(({ tokens }) => tokens),
      first_token_index: segments[0]?.position,
      near: pairs(row.near_offsets, row.near_activations).map(({ latent_index, value }) => ({
        offset: latent_index,
        activation: value,
      })),
      effect: effects.get(row.token_index),
    })),
  };
  return `${JSON.stringify(json, (_, value: unknown) => (typeof value === 'bigint' ? Number(value) : value), 1)}\n`;
}

function pairs(latents: readonly number[], values: readonly number[]) {
  return latents.map((latent_index, i) => ({ latent_index, value: values[i] }));
}
