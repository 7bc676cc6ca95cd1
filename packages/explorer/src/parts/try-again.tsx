import { batch, Show } from 'solid-js';
import type { Load } from '../state/load.ts';

/** Reads again what could not be read, where that may work at another time. */
export function TryAgain(props: { failed: readonly Load<unknown>[] }) {
  const passing = () => props.failed.filter((load) => load.error()?.canPass);
  const again = () => {
    // The button goes with the error: the keyboard goes on from the view.
    document.getElementById('main')?.focus();
    batch(() => passing().forEach((load) => load.again()));
  };
  return (
    <Show when={passing().length > 0}>
      <button type="button" onClick={again}>
        Try again
      </button>
    </Show>
  );
}
