import { For, Show } from 'solid-js';
import type { ExplanationRow } from '../data/feature-index.ts';
import { figure } from '../data/format.ts';

/** What was written of a feature, by whom, and how well it fits. */
export function Explanations(props: { rows: readonly ExplanationRow[] }) {
  const by = ({ method, model }: ExplanationRow) => [model, method].filter(Boolean).join(', ');
  return (
    <Show when={props.rows.length > 0}>
      <ul class="explanations" aria-label="Explanations">
        <For each={props.rows}>
          {(row) => (
            <li>
              {row.text}
              <span class="faint">
                <Show when={by(row) !== ''}> {by(row)}</Show>
                <Show when={Number.isFinite(row.score)}>
                  {' '}
                  <span title={row.score_name || 'score'}>
                    {row.score_name || 'score'} {figure(row.score)}
                  </span>
                </Show>
              </span>
            </li>
          )}
        </For>
      </ul>
    </Show>
  );
}
