import type { FeatureIndex, FeatureRow } from '../features/index.ts';
import { percent } from './table.ts';

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

/**
 * Features that stand for different things: taken by their largest logit weight in standard deviations of firing (a
 * sharp effect), skipping every one whose nearest neighbours or whose most frequent token are already in the list.
 */
export async function separatedFeatures(index: FeatureIndex, count: number): Promise<FeatureSummary[]> {
  const features = await index.features();
  const vocabulary = await index.vocabulary();
  // What fires more often than most is seldom about one thing.
  const maxDensity = features.map((row) => row.density).sort((a, b) => a - b)[features.length >> 1];
  const candidates = features
    .filter((row) => row.n_fired >= MIN_FIRED && row.density <= maxDensity)
    .sort((a, b) => sharpness(b) - sharpness(a));
  const chosen: FeatureSummary[] = [];
  const taken = new Set<number>();
  const tokens = new Set<string>();
  for (const row of candidates) {
    if (chosen.length === count) break;
    const topToken = (vocabulary[row.top_token] ?? '').trim().toLowerCase();
    if (taken.has(row.latent_index) || tokens.has(topToken)) continue;
    const details = await index.detailsOf(row.latent_index);
    tokens.add(topToken);
    details.neighbours.forEach((latent, i) => {
      if (details.neighbour_cosines[i] > MAX_COSINE) taken.add(latent);
    });
    const texts = (ids: number[]) => ids.slice(0, 4).map((id) => vocabulary[id] ?? '');
    chosen.push({
      latent: row.latent_index,
      density: row.density,
      topTokens: texts(details.top_tokens),
      topLogits: texts(details.top_logit_tokens),
    });
  }
  return chosen;
}

function sharpness(row: FeatureRow): number {
  return row.max_logit * row.mean_activation * (1 - row.nearest_cosine);
}

export function featureRows(summaries: readonly FeatureSummary[]): string[][] {
  const joined = (tokens: readonly string[]) => tokens.map(visible).join(' ');
  return summaries.map(({ latent, density, topTokens, topLogits }) => [
    String(latent),
    percent(density, 2),
    joined(topTokens),
    joined(topLogits),
  ]);
}

/** A token as one visible word: spaces and line breaks as symbols. */
function visible(token: string): string {
  return token.replace(/ /g, '·').replace(/\n/g, '⏎').replace(/\t/g, '⇥').replace(/\r/g, '␍');
}
