import { For, Match, Show, Switch } from 'solid-js';
import type { Collection, Member } from '../data/collection.ts';
import { figure } from '../data/format.ts';
import type { Match as Nearest } from '../data/matches.ts';
import { createLoad } from '../state/load.ts';
import { collectionHref, keep, memberHref, route, viewHref } from '../state/route.ts';
import { Panel } from './panel.tsx';

/** Dictionaries in which a feature's nearest are looked up at once. */
const MOST_MEMBERS = 12;
/** Nearest features shown of each. */
const SHOWN = 2;

/** Where a feature is found again in the other dictionaries of its collection. Looked up when asked for. */
export function MatchesPanel(props: { collection: Collection; member: string; latent: number }) {
  const others = () => props.collection.matchedWith(props.member).slice(0, MOST_MEMBERS);
  const wanted = () => route().own['others'] === '1';
  const found = createLoad(
    () => [props.latent, wanted()] as const,
    async ([latent, isWanted]): Promise<[Member, Nearest[]][]> => {
      if (!isWanted) return [];
      return Promise.all(
        others().map(async (other): Promise<[Member, Nearest[]]> => {
          return [other, await props.collection.matches(props.member, other.name).of(latent)];
        }),
      );
    },
  );
  return (
    <Show when={others().length > 0}>
      <Panel
        title="In other dictionaries"
        note="The nearest directions there, by cosine."
        aside={
          <a class="quiet" href={viewHref('families', props.latent)}>
            family
          </a>
        }
      >
        <Switch>
          <Match when={!wanted()}>
            <button type="button" class="text" onClick={() => keep({ others: '1' })}>
              look in {others().length}
            </button>
          </Match>
          <Match when={found.error()}>{(error) => <p role="alert">{error().message}</p>}</Match>
          <Match when={found.loading()}>
            <p role="status" class="faint">
              Directions are compared…
            </p>
          </Match>
          <Match when={found.value()}>
            {(rows) => (
              <table class="token-table">
                <tbody>
                  <For each={rows()}>
                    {([other, nearest]) => (
                      <tr>
                        <td>
                          <a
                            href={collectionHref('compare', { a: props.member, b: other.name }, props.latent)}
                            title={`Side by side with ${other.name}`}
                          >
                            {other.label}
                          </a>
                        </td>
                        <For each={nearest.slice(0, SHOWN)} fallback={<td class="faint">none</td>}>
                          {(match) => (
                            <td class="value">
                              <a href={memberHref(other.name, match.latent)}>{match.latent}</a>{' '}
                              <span class="faint">{figure(match.nearness)}</span>
                            </td>
                          )}
                        </For>
                      </tr>
                    )}
                  </For>
                </tbody>
              </table>
            )}
          </Match>
        </Switch>
      </Panel>
    </Show>
  );
}
