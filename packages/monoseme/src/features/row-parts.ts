import type { TableRow } from './parquet-table.ts';
import type { NearFirings } from './sample-slots.ts';
import type { FEATURES } from './schema.ts';

/** Tokens on each side of the peak in the preview of a list. */
const PREVIEW_RADIUS = 8;
/** Tokens with the largest logit weights in a row of `features.parquet`. */
export const PREVIEW_LOGITS = 4;
/** Tokens that carry most of the activation in a row of `details/`. */
export const TOP_TOKENS = 8;

/** What a list shows of a latent's first example; without one, nothing. */
export function previewOf(
  position: number | undefined,
  near: NearFirings = { offsets: [], activations: [] },
): Pick<TableRow<typeof FEATURES>, 'preview_token' | 'preview_offsets' | 'preview_activations'> {
  const isInside = (_: number, i: number) => Math.abs(near.offsets[i]) <= PREVIEW_RADIUS;
  return {
    preview_token: position ?? -1,
    preview_offsets: near.offsets.filter(isInside),
    preview_activations: near.activations.filter(isInside),
  };
}

/** Wilson's 95 % interval of a share, `hits` of n. */
export function wilsonInterval(hits: number, n: number): [number, number] {
  const z2 = 1.96 ** 2;
  const share = hits / n;
  const middle = share + z2 / (2 * n);
  const spread = 1.96 * Math.sqrt((share * (1 - share)) / n + z2 / (4 * n * n));
  return [Math.max(0, (middle - spread) / (1 + z2 / n)), (middle + spread) / (1 + z2 / n)];
}
