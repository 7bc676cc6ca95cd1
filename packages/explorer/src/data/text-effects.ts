import type { LiveEffect, LiveModel, OnProgress } from './live.ts';
import type { ReadText, TokenFeature } from './text-features.ts';

/** Ablations asked for at once: the strongest features of each token. */
const ABLATED_PER_TOKEN = 8;
const MOST_ABLATED = 2000;

/** What taking a feature out at a token changes; undefined where it was not asked for. */
export type EffectOf = (feature: TokenFeature) => LiveEffect | undefined;

/** Effects of the strongest features of each token of a text. */
export async function textEffects(
  live: LiveModel,
  read: ReadText,
  onProgress?: OnProgress,
): Promise<EffectOf> {
  const at = read.features
    .flatMap((list) => list.slice(0, ABLATED_PER_TOKEN))
    .slice(0, MOST_ABLATED)
    .map(({ token, latent }) => ({ token, latent_index: latent }));
  const effects = await live.ablate(read.text, at, onProgress);
  const known = new Map(at.map(({ token, latent_index }, i) => [`${token} ${latent_index}`, effects[i]]));
  return ({ token, latent }) => known.get(`${token} ${latent}`);
}
