import { count } from '../data/format.ts';
import { createSignal } from 'solid-js';
import type { FeatureList } from '../data/list.ts';

/** The list that next, previous and random follow. Set by whichever view made it. */
export const [currentList, setCurrentList] = createSignal<FeatureList | undefined>();

/** The features before and behind one in a list, and its place there in words. */
export function neighboursInList(latents: Uint32Array | undefined, latent: number | undefined) {
  const place = latent === undefined ? -1 : (latents?.indexOf(latent) ?? -1);
  if (!latents || place < 0) return { previous: undefined, next: latents?.[0], place: '' };
  return {
    previous: place > 0 ? latents[place - 1] : undefined,
    next: place + 1 < latents.length ? latents[place + 1] : undefined,
    place: `${count(place + 1)} of ${count(latents.length)} in the list`,
  };
}
