import type { EncodedText } from 'monoseme/server';
import type { Figures } from './cards.ts';
import type { FeatureIndex } from './feature-index.ts';
import { segmentsOf, type Segment } from './segments.ts';
import type { EffectOf } from './text-effects.ts';

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
  columns: { readonly density: Figures; readonly max: Figures; readonly nTokens: number },
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

/** What is read of a text, for other programs; nothing of none. */
export function readTextJson({ vocabulary }: FeatureIndex, read: ReadText | undefined): object[] {
  if (!read) return [];
  const { text, encoded, features } = read;
  return [
    {
      text,
      n_tokens_left_out: encoded.n_left_out,
      tokens: Array.from(encoded.tokens, (token, i) => ({
        token,
        text: vocabulary.text(token),
        loss: encoded.losses[i],
        features: features[i].map(({ latent, activation, share, surprise }) => ({
          latent_index: latent,
          activation,
          share,
          surprise,
        })),
      })),
    },
  ];
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

/** A feature and its largest value in each of two texts, 0 where it does not fire. */
interface Difference {
  readonly latent: number;
  readonly a: number;
  readonly b: number;
}

/**
 * What parts two texts, the largest difference first. Activations are compared by their share of each feature's
 * largest, surprise as it is, effects by the change of the loss that is largest in size.
 *
 * @param effects of the two texts; without them no feature is ranked by effect
 */
export function differences(
  [a, b]: readonly [ReadText, ReadText],
  ranking: Ranking,
  effects: readonly [EffectOf, EffectOf] | undefined,
): Difference[] {
  const valueOf = (feature: TokenFeature, effectOf: EffectOf | undefined) => {
    if (ranking === 'effect') return effectOf?.(feature)?.loss_change ?? 0;
    return ranking === 'surprise' ? feature.surprise : feature.share;
  };
  const [ofA, ofB] = [
    largest(a, (f) => valueOf(f, effects?.[0])),
    largest(b, (f) => valueOf(f, effects?.[1])),
  ];
  return [...new Set([...ofA.keys(), ...ofB.keys()])]
    .map((latent) => ({ latent, a: ofA.get(latent) ?? 0, b: ofB.get(latent) ?? 0 }))
    .sort((x, y) => Math.abs(y.a - y.b) - Math.abs(x.a - x.b) || x.latent - y.latent);
}

/** Of each feature the value that is largest in size. */
function largest(read: ReadText, valueOf: (feature: TokenFeature) => number): Map<number, number> {
  const found = new Map<number, number>();
  for (const feature of read.features.flat()) {
    const value = valueOf(feature);
    if (Math.abs(value) > Math.abs(found.get(feature.latent) ?? 0)) found.set(feature.latent, value);
  }
  return found;
}

/** Activation of one feature on every token. */
export function activationsOf(read: ReadText, latent: number): number[] {
  return read.features.map((list) => list.find((feature) => feature.latent === latent)?.activation ?? 0);
}
