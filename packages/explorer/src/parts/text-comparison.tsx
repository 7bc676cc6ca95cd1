import { createMemo, createSignal, For, Show } from 'solid-js';
import { figure, signed } from '../data/format.ts';
import type { LiveModel } from '../data/live.ts';
import { textEffects } from '../data/text-effects.ts';
import { differences, type Ranking, type ReadText } from '../data/text-features.ts';
import { createLoad } from '../state/load.ts';
import { createProgress } from '../state/progress.ts';
import { featureHref } from '../state/route.ts';
import { ErrorLine } from './error-notice.tsx';
import { LiveProgress } from './live-progress.tsx';
import { LISTED } from './text-feature-list.tsx';
import { TokenFlow } from './token-flow.tsx';

/** What parts two texts, by each ranking. */
const MEASURES: Readonly<Record<Ranking, string>> = {
  activation: 'by activation, the largest in each text as a share of the feature’s largest',
  surprise: 'by surprise, the largest in each text',
  effect: 'by effect, the largest change of the loss in each text',
};

/** Two texts, and the features that part them. */
export function Comparison(props: {
  a: ReadText;
  b: ReadText;
  live: LiveModel;
  ranking: Ranking;
  topToken: (latent: number) => string;
}) {
  const [latent, setLatent] = createSignal<number>();
  const progress = createProgress();
  const effects = createLoad(
    () => [props.a, props.b, props.ranking === 'effect'] as const,
    async ([a, b, wanted]) => {
      if (!wanted) return undefined;
      const ofA = await textEffects(props.live, a, progress.tell);
      return [ofA, await textEffects(props.live, b, progress.tell)] as const;
    },
  );
  const rows = createMemo(() =>
    differences([props.a, props.b], props.ranking, effects.value()).slice(0, LISTED),
  );
  const shown = (value: number) =>
    value === 0 ? '–' : props.ranking === 'effect' ? signed(value) : figure(value);
  return (
    <div class="comparison">
      <div class="fields two">
        <TokenFlow read={props.a} latent={latent()} picked={undefined} onPick={() => {}} />
        <TokenFlow read={props.b} latent={latent()} picked={undefined} onPick={() => {}} />
      </div>
      <h2>
        Features that differ most <span class="faint">{MEASURES[props.ranking]}</span>
      </h2>
      <Show when={props.ranking === 'effect' && effects.loading()}>
        <LiveProgress what="Features are taken out one by one" progress={progress.value()} />
      </Show>
      <ErrorLine load={effects} />
      <table class="token-table feature-list" onPointerLeave={() => setLatent(undefined)}>
        <thead>
          <tr>
            <th>Feature</th>
            <th>Top token</th>
            <th class="value">First</th>
            <th class="value">Second</th>
          </tr>
        </thead>
        <tbody>
          <For each={rows()}>
            {(row) => (
              <tr onPointerEnter={() => setLatent(row.latent)}>
                <td class="latent">
                  <a href={featureHref(row.latent)} onFocus={() => setLatent(row.latent)}>
                    {row.latent}
                  </a>
                </td>
                <td>
                  <code>{props.topToken(row.latent)}</code>
                </td>
                <td class="value">{shown(row.a)}</td>
                <td class="value">{shown(row.b)}</td>
              </tr>
            )}
          </For>
        </tbody>
      </table>
    </div>
  );
}
