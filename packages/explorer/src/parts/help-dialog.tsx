import { onMount } from 'solid-js';

const KEYS: readonly [string, string][] = [
  ['/', 'Search: a number, a token, text, or a /pattern/ between slashes'],
  ['j  k', 'Next and previous feature, or row of the list'],
  ['Enter', 'Open the row'],
  ['u', 'Back to the list'],
  ['r', 'Random feature of the list'],
  ['x', 'Other examples: by activation, by fifths, random, contrast'],
  ['c', 'More or less text around the examples'],
  ['← →', 'Inside an example: token by token'],
  ['↑ ↓', 'Inside the examples: line by line'],
  ['s', 'Star the feature'],
  ['n', 'Write a note'],
  ['m', 'Map of the dictionary'],
  ['p', 'Text of your own'],
  ['t', 'Dark or light'],
  ['?', 'This help'],
];

export function HelpDialog(props: { onClose: () => void }) {
  let dialog!: HTMLDialogElement;
  onMount(() => dialog.showModal());
  return (
    <dialog ref={dialog} class="help" aria-labelledby="help-title" onClose={() => props.onClose()}>
      <form method="dialog">
        <button class="close" aria-label="Close">
          ×
        </button>
      </form>
      <h2 id="help-title">Reading features</h2>
      <p>
        A feature is one direction that the dictionary found in the network's activations. Its page shows the
        text on which it fires, from strongest to weakest, and what it does to the network's next word.
      </p>
      <p>
        The colour behind a token is the feature's activation there, on one scale for the whole page. The top
        examples show a feature at its clearest: read the lower intervals and the random examples before you
        name it.
      </p>
      <h3>Keys</h3>
      <dl class="keys">
        {KEYS.map(([keys, does]) => (
          <div>
            <dt>
              {keys.split('  ').map((key) => (
                <kbd>{key}</kbd>
              ))}
            </dt>
            <dd>{does}</dd>
          </div>
        ))}
      </dl>
    </dialog>
  );
}
