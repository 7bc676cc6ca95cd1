import { createSignal, Match, Show, Switch } from 'solid-js';
import type { FeatureIndex } from '../data/feature-index.ts';
import { count } from '../data/format.ts';
import type { LiveModel } from '../data/live.ts';
import { tokenLabel } from '../data/segments.ts';
import { RANKINGS, type Ranking, readText, readTextJson } from '../data/text-features.ts';
import { ErrorNotice } from '../parts/error-notice.tsx';
import { LiveProgress } from '../parts/live-progress.tsx';
import { LiveOnly } from '../parts/live-only.tsx';
import { OneText } from '../parts/one-text.tsx';
import { RadioGroup } from '../parts/radio-group.tsx';
import { Comparison } from '../parts/text-comparison.tsx';
import { ViewFiles } from '../parts/view-files.tsx';
import { askAgain, createLoad } from '../state/load.ts';
import { createProgress } from '../state/progress.ts';
import { go, keep, ownHref, route } from '../state/route.ts';

const EXAMPLE = 'It was so cold that the whole crew went below, and the captain said nothing at all.';

const RANKING_NOTES: Readonly<Record<Ranking, string>> = {
  activation: 'as a share of each feature’s largest',
  surprise: 'strong firings of rare features first: share of the largest · ln(1 / density)',
  effect: 'how much the next token’s loss changes without the feature there',
};

/** A reader's own text: which features fire on each of its tokens, and beside another text. */
export function TextView(props: { index: FeatureIndex; live: LiveModel | undefined }) {
  return (
    <Show when={props.live} fallback={<LiveOnly what="Reading your own text" />}>
      {(live) => <LiveText index={props.index} live={live()} />}
    </Show>
  );
}

function LiveText(props: { index: FeatureIndex; live: LiveModel }) {
  const own = () => route().own;
  const [draft, setDraft] = createSignal(own()['a'] ?? EXAMPLE);
  const [second, setSecond] = createSignal(own()['b'] ?? '');
  const comparing = () => own()['compare'] === '1';
  const columns = createLoad(
    () => props.index,
    async (index) => ({
      density: await index.column('density'),
      max: await index.column('max_activation'),
      top: await index.column('top_token'),
      nTokens: index.manifest.corpus.n_tokens,
    }),
  );
  const progress = createProgress();
  const read = (name: 'a' | 'b') =>
    createLoad(
      () => [own()[name], columns.value()] as const,
      async ([wanted, known]) =>
        wanted && known
          ? readText(props.index, wanted, await props.live.encode(wanted, progress.tell), known)
          : undefined,
    );
  const first = read('a');
  const other = read('b');
  const run = () => {
    go(ownHref({ a: draft(), b: comparing() ? second() : '', token: '', latent: '' }));
    askAgain(columns, first, other);
  };
  const ranking = (): Ranking => RANKINGS.find((known) => known === own()['rank']) ?? 'activation';
  const topToken = (latent: number) => {
    const id = columns.value()?.top[latent] ?? -1;
    return id < 0 ? '' : tokenLabel(props.index.vocabulary.text(id));
  };

  return (
    <section class="text-view" aria-labelledby="text-title">
      <h1 id="text-title">Your text</h1>
      <p class="faint">
        Type or paste text to see which features fire on each token. It goes to the model of this server and
        nowhere else.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          run();
        }}
      >
        <div class="fields" classList={{ two: comparing() }}>
          <TextField label="Text" value={draft()} onInput={setDraft} live={props.live} onRun={run} />
          <Show when={comparing()}>
            <TextField
              label="Second text"
              value={second()}
              onInput={setSecond}
              live={props.live}
              onRun={run}
            />
          </Show>
        </div>
        <div class="actions">
          <button type="submit" class="primary" disabled={draft().trim() === '' || first.loading()}>
            Read
          </button>
          <button type="button" class="text" onClick={() => keep({ compare: comparing() ? '' : '1', b: '' })}>
            {comparing() ? 'one text' : 'compare with another'}
          </button>
          <RadioGroup
            label="Rank features by"
            choices={RANKINGS}
            chosen={ranking()}
            onChoose={(rank) => keep({ rank })}
          />
          <span class="faint note">
            {ranking() === 'activation' && !comparing() && own()['token']
              ? 'on this token; underlined by its share of each feature’s largest'
              : RANKING_NOTES[ranking()]}
          </span>
          <Show when={first.value()}>
            <ViewFiles
              name="text"
              json={() => [first.value(), other.value()].flatMap((read) => readTextJson(props.index, read))}
            />
          </Show>
        </div>
      </form>
      <Switch>
        <Match when={columns.error() ?? first.error() ?? other.error()}>
          {(error) => <ErrorNotice error={error()} failed={[columns, first, other]} />}
        </Match>
        <Match when={first.loading() && own()['a']}>
          <LiveProgress what="The model reads" progress={progress.value()} />
        </Match>
        <Match when={comparing() && first.value() && other.value()}>
          <Comparison
            a={first.value()!}
            b={other.value()!}
            live={props.live}
            ranking={ranking()}
            topToken={topToken}
          />
        </Match>
        <Match when={first.value()}>
          {(shown) => <OneText read={shown()} live={props.live} ranking={ranking()} topToken={topToken} />}
        </Match>
      </Switch>
    </section>
  );
}

function TextField(props: {
  label: string;
  value: string;
  live: LiveModel;
  onInput: (text: string) => void;
  onRun: () => void;
}) {
  const most = () => props.live.facts.most_characters;
  return (
    <label class="field">
      <span class="sr">{props.label}</span>
      <textarea
        rows={4}
        spellcheck={false}
        value={props.value}
        onInput={(event) => props.onInput(event.currentTarget.value)}
        onKeyDown={(event) => event.key === 'Enter' && (event.ctrlKey || event.metaKey) && props.onRun()}
      />
      <Show when={props.value.length > most()}>
        <span role="alert" class="hurts">
          {count(props.value.length)} characters; at most {count(most())} can be read at once. Choose a part.
        </span>
      </Show>
    </label>
  );
}
