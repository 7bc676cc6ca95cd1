import { For, type JSX } from 'solid-js';
import type { TokenFeature } from '../data/text-features.ts';
import { featureHref } from '../state/route.ts';

/** Features listed for a whole text. */
export const LISTED = 24;

/** Features of a text or of one of its tokens, with how strongly they belong there. */
export function TextFeatureList(props: {
  features: readonly TokenFeature[];
  topToken: (latent: number) => string;
  value: (feature: TokenFeature) => string;
  picked: number | undefined;
  onHover: (latent: number | undefined) => void;
  onPick: (latent: number) => void;
}): JSX.Element {
  return (
    <table class="token-table feature-list" onPointerLeave={() => props.onHover(undefined)}>
      <tbody>
        <For
          each={props.features}
          fallback={
            <tr>
              <td class="faint">No feature fires here.</td>
            </tr>
          }
        >
          {(feature) => (
            <tr
              classList={{ chosen: props.picked === feature.latent }}
              onPointerEnter={() => props.onHover(feature.latent)}
            >
              <td class="latent">
                <a href={featureHref(feature.latent)}>{feature.latent}</a>
              </td>
              <td>
                <code>{props.topToken(feature.latent)}</code>
              </td>
              <td class="value bar" style={{ '--share': String(Math.min(1, feature.share)) }}>
                {props.value(feature)}
              </td>
              <td class="show">
                <button
                  type="button"
                  class="text"
                  aria-pressed={props.picked === feature.latent}
                  onClick={() => props.onPick(feature.latent)}
                >
                  show
                </button>
              </td>
            </tr>
          )}
        </For>
      </tbody>
    </table>
  );
}
