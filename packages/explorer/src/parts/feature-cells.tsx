import type { FeatureIndex } from '../data/feature-index.ts';
import { tokenLabel } from '../data/segments.ts';
import { createLoad } from '../state/load.ts';
import { featureHref } from '../state/route.ts';

/** Top tokens of features by their place in a list, once they are there. A latent below 0 has none. */
export function createTopTokens(
  index: FeatureIndex,
  latents: () => readonly number[],
): (place: number) => string {
  const rows = createLoad(latents, (some) =>
    Promise.all(some.map((latent) => (latent < 0 ? undefined : index.feature(latent)))),
  );
  return (place) => {
    if (rows.loading()) return '';
    const row = rows.value()?.[place];
    if (!row) return '';
    return row.top_token < 0 ? 'never fires' : tokenLabel(index.vocabulary.text(row.top_token));
  };
}

/** A feature in a row of a table: its link and its top token. */
export function FeatureCells(props: { latent: number; topToken: string; href?: string }) {
  return (
    <>
      <td class="latent">
        <a href={props.href ?? featureHref(props.latent)}>{props.latent}</a>
      </td>
      <td>
        <code>{props.topToken}</code>
      </td>
    </>
  );
}
