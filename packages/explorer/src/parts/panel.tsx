import { type JSX, Show } from 'solid-js';

/** A part of the feature's page: its title, what it means, and something beside the title. */
export function Panel(props: { title: string; note?: string; aside?: JSX.Element; children: JSX.Element }) {
  return (
    <section class="panel">
      <div class="panel-head">
        <h2>{props.title}</h2>
        {props.aside}
      </div>
      <Show when={props.note}>
        <p class="faint">{props.note}</p>
      </Show>
      {props.children}
    </section>
  );
}
