import { createMemo, createSignal, For, type JSX, Match, Show, Switch } from 'solid-js';
import type { FeatureIndex } from '../data/feature-index.ts';
import { count, figure, signed } from '../data/format.ts';
import type { LiveEffect, LiveModel } from '../data/live.ts';
import { tokenLabel, visible } from '../data/segments.ts';
import {
  activationsOf,
  RANKINGS,
  type Ranking,
  readText,
  type ReadText,
  strongestPlaces,
  type TokenFeature,
} from '../data/text-features.ts';
import { ErrorNotice } from '../parts/error-notice.tsx';
import { LiveOnly } from '../parts/live-only.tsx';
import { createLoad } from '../state/load.ts';
import { featureHref, go, keep, ownHref, route } from '../state/route.ts';

const EXAMPLE = 'It was so cold that the whole crew went below, and the captain said nothing at all.';
/** Features listed for a whole text. */
const LISTED = 24;
/** Ablations asked for at once: the strongest features of each token. */
const ABLATED_PER_TOKEN = 8;
const MOST_ABLATED = 2000;

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
  const run = () => go(ownHref({ a: draft(), b: comparing() ? second() : '', token: '', latent: '' }));
  const columns = createLoad(
    () => props.index,
    async (index) => ({
      density: await index.column('density'),
      max: await index.column('max_activation'),
      top: await index.column('top_token'),
      nTokens: index.manifest.corpus.n_tokens,
    }),
  );
  const read = (text: string | undefined) =>
    createLoad(
      () => [text === undefined ? '' : own()[text], columns.value()] as const,
      async ([wanted, known]) =>
        wanted && known ? readText(props.index, wanted, await props.live.encode(wanted), known) : undefined,
    );
  const first = read('a');
  const other = read('b');
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
          <Segmented
            label="Rank features by"
            choices={RANKINGS}
            chosen={ranking()}
            onChoose={(rank) => keep({ rank })}
          />
          <span class="faint note">{RANKING_NOTES[ranking()]}</span>
        </div>
      </form>
      <Switch>
        <Match when={first.error() ?? other.error()}>{(error) => <ErrorNotice error={error()} />}</Match>
        <Match when={first.loading() && own()['a']}>
          <p role="status" class="faint">
            The model reads…
          </p>
        </Match>
        <Match when={comparing() && first.value() && other.value()}>
          <Comparison a={first.value()!} b={other.value()!} topToken={topToken} />
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

function Segmented<T extends string>(props: {
  label: string;
  choices: readonly T[];
  chosen: T;
  onChoose: (choice: T) => void;
}) {
  return (
    <div class="modes" role="radiogroup" aria-label={props.label}>
      <For each={props.choices}>
        {(choice) => (
          <button
            type="button"
            role="radio"
            aria-checked={props.chosen === choice}
            onClick={() => props.onChoose(choice)}
          >
            {choice}
          </button>
        )}
      </For>
    </div>
  );
}

function OneText(props: {
  read: ReadText;
  live: LiveModel;
  ranking: Ranking;
  topToken: (latent: number) => string;
}) {
  const number = (name: string) => {
    const value = route().own[name];
    return value === undefined || value === '' ? undefined : Number(value);
  };
  const token = () => number('token');
  const [hovered, setHovered] = createSignal<number>();
  const colouring = () => hovered() ?? number('latent');
  const effects = createLoad(
    () => [props.read, props.ranking === 'effect'] as const,
    ([read, wanted]) => (wanted ? effectsOf(props.live, read) : Promise.resolve(undefined)),
  );
  const effectOf = ({ token: at, latent }: TokenFeature) => effects.value()?.get(`${at} ${latent}`);
  const listed = createMemo(() => {
    const at = token();
    if (at === undefined) {
      const places = strongestPlaces(props.read, props.ranking === 'surprise' ? 'surprise' : 'activation');
      return props.ranking === 'effect' ? strongestEffects(props.read, effectOf) : places;
    }
    return ranked(props.read.features[at] ?? [], props.ranking, effectOf);
  });

  return (
    <div class="one-text">
      <div>
        <TokenFlow
          read={props.read}
          latent={colouring()}
          picked={token()}
          onPick={(at) => keep({ token: at === token() ? '' : String(at) })}
        />
        <Show when={props.read.encoded.n_left_out > 0}>
          <p class="faint">
            The first {count(props.read.encoded.tokens.length)} tokens are shown;{' '}
            {count(props.read.encoded.n_left_out)} more were left out.
          </p>
        </Show>
        <p class="faint hint">
          {colouring() === undefined
            ? 'Underlined by how surprising each token was to the model. Choose a token to see its features; point at a feature to see where it fires.'
            : `Coloured by the activation of feature ${colouring()}.`}
        </p>
      </div>
      <div class="found">
        <h2>
          {token() === undefined
            ? 'Features of the text'
            : `Features on ${tokenLabel(tokenText(props.read, token()!))}`}{' '}
          <Show when={token() !== undefined}>
            <button type="button" class="text" onClick={() => keep({ token: '' })}>
              whole text
            </button>
          </Show>
        </h2>
        <Show when={props.ranking === 'effect' && effects.loading()}>
          <p role="status" class="faint">
            Features are taken out one by one…
          </p>
        </Show>
        <Show when={effects.error()}>{(error) => <p role="alert">{error().message}</p>}</Show>
        <FeatureList
          features={listed().slice(0, LISTED)}
          read={props.read}
          topToken={props.topToken}
          value={(feature) => {
            if (props.ranking === 'surprise') return figure(feature.surprise);
            if (props.ranking === 'activation') return figure(feature.activation);
            const change = effectOf(feature)?.loss_change;
            return change === undefined || change === null ? '–' : signed(change);
          }}
          picked={number('latent')}
          onHover={setHovered}
          onPick={(latent) => keep({ latent: latent === number('latent') ? '' : String(latent) })}
        />
      </div>
    </div>
  );
}

function tokenText(read: ReadText, token: number): string {
  return read.segments.findLast(({ position }) => position <= token)?.text ?? '';
}

/** The text, token by token. */
function TokenFlow(props: {
  read: ReadText;
  latent: number | undefined;
  picked: number | undefined;
  onPick: (token: number) => void;
}) {
  const activations = createMemo(() =>
    props.latent === undefined ? undefined : activationsOf(props.read, props.latent),
  );
  const max = () => Math.max(1e-9, ...(activations() ?? []));
  return (
    <p class="flow">
      <For each={props.read.segments}>
        {({ text, position, tokens }) => {
          const activation = () => Math.max(0, ...tokens.map((_, i) => activations()?.[position + i] ?? 0));
          const loss = props.read.encoded.losses[position] ?? 0;
          const label = (): string => {
            const told =
              props.latent === undefined ? `loss ${figure(loss)}` : `activation ${figure(activation())}`;
            return `${tokenLabel(text)}, ${told}`;
          };
          return (
            <button
              type="button"
              class="t"
              classList={{
                on: activation() > 0,
                cursor: props.picked === position,
                surprising: props.latent === undefined && loss > 0.5,
              }}
              style={{ '--a': String(activation() / max()), '--e': String(Math.min(1, loss / 8)) }}
              aria-pressed={props.picked === position}
              aria-label={label()}
              title={label()}
              onClick={() => props.onPick(position)}
            >
              {visible(text)}
            </button>
          );
        }}
      </For>
    </p>
  );
}

function FeatureList(props: {
  features: readonly TokenFeature[];
  read: ReadText;
  topToken: (latent: number) => string;
  value: (feature: TokenFeature) => string;
  picked: number | undefined;
  onHover: (latent: number | undefined) => void;
  onPick: (latent: number) => void;
}): JSX.Element {
  return (
    <table class="token-table feature-list" onPointerLeave={() => props.onHover(undefined)}>
      <tbody>
        <For
          each={props.features}
          fallback={
            <tr>
              <td class="faint">No feature fires here.</td>
            </tr>
          }
        >
          {(feature) => (
            <tr
              classList={{ chosen: props.picked === feature.latent }}
              onPointerEnter={() => props.onHover(feature.latent)}
            >
              <td class="latent">
                <a href={featureHref(feature.latent)}>{feature.latent}</a>
              </td>
              <td>
                <code>{props.topToken(feature.latent)}</code>
              </td>
              <td class="value bar" style={{ '--share': String(Math.min(1, feature.share)) }}>
                {props.value(feature)}
              </td>
              <td class="show">
                <button
                  type="button"
                  class="text"
                  aria-pressed={props.picked === feature.latent}
                  onClick={() => props.onPick(feature.latent)}
                >
                  show
                </button>
              </td>
            </tr>
          )}
        </For>
      </tbody>
    </table>
  );
}

/** Two texts, and the features that part them. */
function Comparison(props: { a: ReadText; b: ReadText; topToken: (latent: number) => string }) {
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

function ranked(
  features: readonly TokenFeature[],
  ranking: Ranking,
  effectOf: (feature: TokenFeature) => LiveEffect | undefined,
): TokenFeature[] {
  const key = (feature: TokenFeature) => {
    if (ranking === 'activation') return feature.activation;
    if (ranking === 'surprise') return feature.surprise;
    return Math.abs(effectOf(feature)?.loss_change ?? 0);
  };
  return [...features].sort((a, b) => key(b) - key(a) || a.latent - b.latent);
}

function strongestEffects(
  read: ReadText,
  effectOf: (feature: TokenFeature) => LiveEffect | undefined,
): TokenFeature[] {
  return ranked(read.features.flat().filter(effectOf), 'effect', effectOf);
}

/** Effects of the strongest features of each token, by token and latent. */
async function effectsOf(live: LiveModel, read: ReadText): Promise<Map<string, LiveEffect>> {
  const at = read.features
    .flatMap((list) => list.slice(0, ABLATED_PER_TOKEN))
    .slice(0, MOST_ABLATED)
    .map(({ token, latent }) => ({ token, latent_index: latent }));
  const effects = await live.ablate(read.text, at);
  return new Map(at.map(({ token, latent_index }, i) => [`${token} ${latent_index}`, effects[i]]));
}
