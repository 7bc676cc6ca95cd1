import { createEffect, createSignal, onCleanup, Show } from 'solid-js';
import type { FeatureIndex } from '../data/feature-index.ts';
import { featureJson } from '../data/feature-json.ts';
import type { FeaturePage } from '../data/feature-page.ts';
import { featureSvg } from '../data/feature-svg.ts';
import { isStarred, noteOf, setNote, toggleStar } from '../state/notebook.ts';
import { onShortcut } from '../state/shortcuts.ts';
import { saveFile } from './save.ts';

/** Star, note, files and address of a feature. */
export function FeatureTools(props: { index: FeatureIndex; page: FeaturePage; isShown: boolean }) {
  const [writing, setWriting] = createSignal(false);
  const [said, setSaid] = createSignal('');
  let field: HTMLTextAreaElement | undefined;
  const name = () => `feature-${props.page.latent}`;
  const write = () => {
    setWriting(true);
    field?.focus();
  };
  const say = (text: string) => {
    setSaid(text);
    setTimeout(() => setSaid(''), 2000);
  };
  const copyAddress = () =>
    navigator.clipboard.writeText(location.href).then(
      () => say('Address copied'),
      () => say('The browser refused to copy'),
    );
  createEffect(() => {
    if (!props.isShown) return;
    onCleanup(onShortcut({ s: () => toggleStar(props.page.latent), n: write }));
  });
  return (
    <div class="feature-tools">
      <div class="buttons">
        <button
          type="button"
          aria-pressed={isStarred(props.page.latent)}
          title="Star (s)"
          onClick={() => toggleStar(props.page.latent)}
        >
          <svg viewBox="0 0 20 20" aria-hidden="true" classList={{ full: isStarred(props.page.latent) }}>
            <path d="m10 3 2.100 4.400 4.800.6-3.500 3.300.9 4.800L10 13.800l-4.300 2.300.9-4.800L3.100 8l4.800-.6z" />
          </svg>
          {isStarred(props.page.latent) ? 'Starred' : 'Star'}
        </button>
        <button type="button" title="Note (n)" onClick={write}>
          Note
        </button>
        <button
          type="button"
          title="What is shown, as JSON"
          onClick={() => saveFile(`${name()}.json`, 'application/json', featureJson(props.index, props.page))}
        >
          JSON
        </button>
        <button
          type="button"
          title="A figure for a paper, as SVG"
          onClick={() => saveFile(`${name()}.svg`, 'image/svg+xml', featureSvg(props.index, props.page))}
        >
          SVG
        </button>
        <button type="button" title="Copy the address of this view" onClick={copyAddress}>
          Link
        </button>
        <span role="status" class="faint">
          {said()}
        </span>
      </div>
      <Show when={writing() || noteOf(props.page.latent) !== ''}>
        <textarea
          ref={field}
          rows={2}
          aria-label={`Note on feature ${props.page.latent}`}
          placeholder="A note, kept in this browser"
          value={noteOf(props.page.latent)}
          onInput={(event) => setNote(props.page.latent, event.currentTarget.value)}
          onBlur={() => setWriting(false)}
          onKeyDown={(event) => event.key === 'Escape' && event.currentTarget.blur()}
        />
      </Show>
    </div>
  );
}
