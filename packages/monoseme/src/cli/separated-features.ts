import type { FeatureIndex, FeatureRow } from '../features/index.ts';
import { percentText } from '../report/index.ts';

/** A feature that fires on fewer tokens has too few examples to be judged by. */
const MIN_FIRED = 50;
/** Two features of the list are at least this far apart. */
const MAX_COSINE = 0.3;

export interface FeatureSummary {
  readonly latent: number;
  readonly density: number;
  readonly topTokens: readonly string[];
  readonly topLogits: readonly string[];
}

/** Tokens and logits of a feature that the list shows. */
const SHOWN = 4;

/**
 * Features that stand for different things and can be judged in one line: those that fire on words and raise words
 * first, in the order of a sharp effect (logit weight times typical activation, far from other latents), skipping every
 * one whose neighbour or whose most frequent token is already in the list.
 */
export async function separatedFeatures(index: FeatureIndex, count: number): Promise<FeatureSummary[]> {
  const features = await index.features();
  const vocabulary = await index.vocabulary();
  // What fires more often than most is seldom about one thing.
  const maxDensity = features.map((row) => row.density).sort((a, b) => a - b)[features.length >> 1];
  const candidates = features
    .filter((row) => row.n_fired >= MIN_FIRED && row.density <= maxDensity)
    .sort((a, b) => sharpness(b) - sharpness(a));
  const words: FeatureSummary[] = [];
  const others: FeatureSummary[] = [];
  const taken = new Set<number>();
  const tokens = new Set<string>();
  for (const row of candidates) {
    if (words.length === count) break;
    const topToken = (vocabulary[row.top_token] ?? '').trim().toLowerCase();
    if (taken.has(row.latent_index) || tokens.has(topToken)) continue;
    const details = await index.detailsOf(row.latent_index);
    const texts = (ids: readonly number[]) => ids.slice(0, SHOWN).map((id) => vocabulary[id] ?? '');
    const summary = {
      latent: row.latent_index,
      density: row.density,
      topTokens: texts(details.top_tokens),
      topLogits: texts(details.top_logit_tokens),
    };
    const isOfWords = [summary.topTokens, summary.topLogits].every(
      (list) => list.filter(isWord).length >= SHOWN / 2,
    );
    if (!isOfWords && others.length === count) continue;
    (isOfWords ? words : others).push(summary);
    tokens.add(topToken);
    details.neighbours.forEach((latent, i) => {
      if (details.neighbour_cosines[i] > MAX_COSINE) taken.add(latent);
    });
  }
  return [...words, ...others].slice(0, count);
}

/** A token that begins a word and is long enough to be one. */
function isWord(token: string): boolean {
  return /^ \p{L}{4}/u.test(token);
}

function sharpness(row: FeatureRow): number {
  return row.max_logit * row.mean_activation * (1 - row.nearest_cosine);
}

export function featureRows(summaries: readonly FeatureSummary[]): string[][] {
  const joined = (tokens: readonly string[]) => tokens.map(visible).join(' ');
  return summaries.map(({ latent, density, topTokens, topLogits }) => [
    String(latent),
    percentText(density, 2),
    joined(topTokens),
    joined(topLogits),
  ]);
}

/** A token as one visible word: spaces and line breaks as symbols. */
function visible(token: string): string {
  return token.replace(/ /g, '·').replace(/\n/g, '⏎').replace(/\t/g, '⇥').replace(/\r/g, '␍');
}
