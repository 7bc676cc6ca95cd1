import type { EncodedText } from './live.ts';
import type { FeatureIndex } from './feature-index.ts';
import { segmentsOf, type Segment } from './segments.ts';

export const RANKINGS = ['activation', 'surprise', 'effect'] as const;
export type Ranking = (typeof RANKINGS)[number];

/** A feature at a token of the text. */
export interface TokenFeature {
  readonly latent: number;
  readonly token: number;
  readonly activation: number;
  /** Activation as a share of the feature's largest in the corpus; may exceed 1. */
  readonly share: number;
  /** share · ln(1 / density): strong firings of rare features. In nats. */
  readonly surprise: number;
}

/** A text of the reader's as the dictionary sees it. */
export interface ReadText {
  readonly text: string;
  readonly encoded: EncodedText;
  readonly segments: readonly Segment[];
  /** By token. */
  readonly features: readonly (readonly TokenFeature[])[];
}

/** @param columns density and largest activation of every feature */
export function readText(
  index: FeatureIndex,
  text: string,
  encoded: EncodedText,
  columns: { readonly density: Float64Array; readonly max: Float64Array; readonly nTokens: number },
): ReadText {
  const features = encoded.features.map((list, token) =>
    list.map(({ latent_index: latent, activation }) => {
      const share = activation / (columns.max[latent] || activation);
      // One that was never seen to fire is as rare as can be told.
      const density = Math.max(columns.density[latent], 1 / columns.nTokens);
      return { latent, token, activation, share, surprise: share * Math.log(1 / density) };
    }),
  );
  return { text, encoded, segments: segmentsOf(encoded.tokens, 0, index.vocabulary), features };
}

/** The strongest place of every feature in a text, best first by activation or surprise. */
export function strongestPlaces(read: ReadText, by: 'activation' | 'surprise'): TokenFeature[] {
  const best = new Map<number, TokenFeature>();
  for (const feature of read.features.flat()) {
    const known = best.get(feature.latent);
    if (!known || feature[by] > known[by]) best.set(feature.latent, feature);
  }
  // Activations of different features are compared by their share of each one's largest.
  const key = by === 'activation' ? 'share' : 'surprise';
  return [...best.values()].sort((a, b) => b[key] - a[key] || a.latent - b.latent);
}

/** Activation of one feature on every token. */
export function activationsOf(read: ReadText, latent: number): number[] {
  return read.features.map((list) => list.find((feature) => feature.latent === latent)?.activation ?? 0);
}
