import { Show } from 'solid-js';
import type { IndexError } from '../data/index-error.ts';
import type { Load } from '../state/load.ts';
import { TryAgain } from './try-again.tsx';

/** What went wrong, and what to do about it. @param failed what is read again where that may help */
export function ErrorNotice(props: { error: IndexError; failed?: readonly Load<unknown>[] }) {
  return (
    <section class="notice" role="alert">
      <h1>{props.error.title}</h1>
      <p>{props.error.message}</p>
      <p>{props.error.advice}</p>
      <Show when={props.failed}>{(failed) => <TryAgain failed={failed()} />}</Show>
    </section>
  );
}

/** The same as a line among other things: nothing where nothing failed. */
export function ErrorLine(props: { load: Load<unknown> }) {
  return (
    <Show when={props.load.error()}>
      {(error) => (
        <p role="alert">
          {error().title}. {error().message} {error().advice} <TryAgain failed={[props.load]} />
        </p>
      )}
    </Show>
  );
}
