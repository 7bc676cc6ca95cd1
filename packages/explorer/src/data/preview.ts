import { type Highlight, highlightOf } from '../parts/tokens.ts';
import type { FeatureIndex, FeatureRow } from './feature-index.ts';
import { textAround } from './feature-page.ts';
import type { Segment } from './segments.ts';

/** As much as a wide row holds. */
const BEFORE = 12;
const AFTER = 16;

/** A feature's figures and the text around its strongest firing: a row of a list. */
export interface Preview {
  readonly row: FeatureRow;
  /** Empty for a feature that never fires. */
  readonly segments: readonly Segment[];
  readonly highlight: Highlight;
}

export async function loadPreview(index: FeatureIndex, latent: number): Promise<Preview> {
  const row = await index.feature(latent);
  const { preview_token, preview_offsets, preview_activations, max_activation: max } = row;
  const highlight = highlightOf(preview_token, max, preview_offsets, preview_activations, max);
  if (preview_token < 0) return { row, segments: [], highlight };
  // Without its text a row has its figures; the feature's page says what is wrong.
  const segments = await textAround(index, preview_token, BEFORE, AFTER).catch(() => []);
  return { row, segments, highlight };
}
