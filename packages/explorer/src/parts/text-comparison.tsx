import { createMemo, createSignal, For } from 'solid-js';
import { figure } from '../data/format.ts';
import { type ReadText, strongestPlaces } from '../data/text-features.ts';
import { featureHref } from '../state/route.ts';
import { LISTED } from './text-feature-list.tsx';
import { TokenFlow } from './token-flow.tsx';

/** Two texts, and the features that part them. */
export function Comparison(props: { a: ReadText; b: ReadText; topToken: (latent: number) => string }) {
  const [latent, setLatent] = createSignal<number>();
  const rows = createMemo(() => {
    const [a, b] = [props.a, props.b].map(
      (read) => new Map(strongestPlaces(read, 'surprise').map((feature) => [feature.latent, feature])),
    );
    return [...new Set([...a.keys(), ...b.keys()])]
      .map((key) => ({ latent: key, a: a.get(key)?.surprise ?? 0, b: b.get(key)?.surprise ?? 0 }))
      .sort((x, y) => Math.abs(y.a - y.b) - Math.abs(x.a - x.b))
      .slice(0, LISTED);
  });
  return (
    <div class="comparison">
      <div class="fields two">
        <TokenFlow read={props.a} latent={latent()} picked={undefined} onPick={() => {}} />
        <TokenFlow read={props.b} latent={latent()} picked={undefined} onPick={() => {}} />
      </div>
      <h2>
        Features that differ most <span class="faint">by surprise, the largest in each text</span>
      </h2>
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
                <td class="value">{row.a > 0 ? figure(row.a) : '–'}</td>
                <td class="value">{row.b > 0 ? figure(row.b) : '–'}</td>
              </tr>
            )}
          </For>
        </tbody>
      </table>
    </div>
  );
}
