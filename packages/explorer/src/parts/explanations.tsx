import { For, Show } from 'solid-js';
import type { ExplanationRow } from '../data/feature-index.ts';
import { figure } from '../data/format.ts';

/** What was written of a feature, by whom, and how well it fits. */
export function Explanations(props: { rows: readonly ExplanationRow[] }) {
  const note = ({ method, model, score, score_name: name }: ExplanationRow) =>
    [
      [model, method].filter(Boolean).join(', '),
      Number.isFinite(score) ? `${name || 'score'} ${figure(score)}` : '',
    ]
      .filter(Boolean)
      .join(' · ');
  return (
    <Show when={props.rows.length > 0}>
      <ul class="explanations" aria-label="Explanations">
        <For each={props.rows}>
          {(row) => (
            <li>
              {row.text} <span class="faint">{note(row)}</span>
            </li>
          )}
        </For>
      </ul>
    </Show>
  );
}
