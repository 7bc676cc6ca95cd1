import { createSignal, For, Match, Show, Switch } from 'solid-js';
import type { SteeredText, SteerRequest } from 'monoseme/server';
import type { FeatureIndex } from '../data/feature-index.ts';
import { figure, signed } from '../data/format.ts';
import type { Continuation, LiveModel } from '../data/live.ts';
import { segmentsOf, tokenLabel, tokenTexts, visible } from '../data/segments.ts';
import { ErrorNotice } from '../parts/error-notice.tsx';
import { LiveProgress } from '../parts/live-progress.tsx';
import { LiveOnly } from '../parts/live-only.tsx';
import { ViewFiles } from '../parts/view-files.tsx';
import { askAgain, createLoad } from '../state/load.ts';
import { createProgress } from '../state/progress.ts';
import { featureHref, go, route, viewHref } from '../state/route.ts';

const MODES = [
  ['clamp', 'set to', '× its largest activation'],
  ['add', 'add', '× its largest activation'],
  ['scale', 'multiply by', ''],
] as const;

const USUAL = {
  prompt: 'The captain looked at the sea and',
  mode: 'clamp',
  strengths: '-1, 0, 1, 2',
  tokens: '32',
  temperature: '0.8',
  seed: '0',
} as const;
type Field = keyof typeof USUAL;

/** Continuations of a prompt with a feature changed, beside those of the model as it is. */
export function SteerView(props: { index: FeatureIndex; live: LiveModel | undefined }) {
  return (
    <Show when={props.live} fallback={<LiveOnly what="Steering" />}>
      {(live) => <Steering index={props.index} live={live()} />}
    </Show>
  );
}

function Steering(props: { index: FeatureIndex; live: LiveModel }) {
  const field = (name: Field) => route().own[name] ?? USUAL[name];
  const [latent, setLatent] = createSignal(String(route().latent ?? ''));
  const [draft, setDraft] = createSignal<Record<Field, string>>(
    Object.fromEntries(Object.keys(USUAL).map((name) => [name, field(name as Field)])) as Record<
      Field,
      string
    >,
  );
  const change = (name: Field) => (event: { currentTarget: { value: string } }) =>
    setDraft({ ...draft(), [name]: event.currentTarget.value });
  const feature = createLoad(
    () => route().latent,
    async (number) => (number === undefined ? undefined : props.index.feature(number)),
  );
  const progress = createProgress();
  const answer = createLoad(
    () => [route().own['run'], feature.value(), route().own] as const,
    async ([run, row]) => {
      if (!run || !row || row.latent_index !== route().latent) return undefined;
      const question: SteerRequest = {
        prompt: field('prompt'),
        latent_index: row.latent_index,
        mode: MODES.find(([mode]) => mode === field('mode'))?.[0] ?? 'clamp',
        strengths: strengthsOf(field('strengths')),
        unit: row.max_activation,
        tokens: Number(field('tokens')),
        temperature: Number(field('temperature')),
        seed: Number(field('seed')),
      };
      return props.live.steer(question, progress.tell);
    },
  );
  const mode = () => MODES.find(([name]) => name === draft().mode) ?? MODES[0];
  const isWhole = () => /^\d{1,9}$/.test(latent()) && Number(latent()) < props.index.nFeatures;
  const run = () => {
    go(viewHref('steer', Number(latent()), { ...draft(), run: '1' }));
    askAgain(answer);
  };

  const steeredJson = ({ prompt, continuations }: SteeredText) => ({
    latent_index: route().latent,
    ...Object.fromEntries(Object.keys(USUAL).map((name) => [name, field(name as Field)])),
    prompt_tokens: prompt,
    continuations: continuations.map((continuation) => ({
      ...continuation,
      text: tokenTexts(continuation.tokens, props.index.vocabulary).join(''),
    })),
  });

  return (
    <section class="text-view steer" aria-labelledby="steer-title">
      <h1 id="steer-title">Steer</h1>
      <p class="faint">
        Change one feature at every token and let the model go on. All continuations draw the same chance, so
        that they part only where the change parts them.
      </p>
      <form
        onSubmit={(event) => {
          event.preventDefault();
          run();
        }}
      >
        <label class="field">
          <span>Prompt</span>
          <textarea rows={2} spellcheck={false} value={draft().prompt} onInput={change('prompt')} />
        </label>
        <div class="actions">
          <label>
            <span>Feature</span>
            <input
              inputmode="numeric"
              size={8}
              value={latent()}
              aria-invalid={latent() !== '' && !isWhole()}
              onInput={(event) => setLatent(event.currentTarget.value)}
            />
          </label>
          <label>
            <span class="sr">How it is changed</span>
            <select value={draft().mode} onChange={change('mode')}>
              <For each={MODES}>{([name, label]) => <option value={name}>{label}</option>}</For>
            </select>
          </label>
          <label>
            <span class="sr">Strengths</span>
            <input size={14} value={draft().strengths} onInput={change('strengths')} />
          </label>
          <span class="faint">{mode()[2]}</span>
          <label>
            <span>Tokens</span>
            <input inputmode="numeric" size={4} value={draft().tokens} onInput={change('tokens')} />
          </label>
          <label>
            <span>Temperature</span>
            <input inputmode="decimal" size={4} value={draft().temperature} onInput={change('temperature')} />
          </label>
          <label>
            <span>Seed</span>
            <input inputmode="numeric" size={4} value={draft().seed} onInput={change('seed')} />
          </label>
          <button type="submit" class="primary" disabled={!isWhole() || answer.loading()}>
            Write
          </button>
        </div>
      </form>
      <Switch>
        <Match when={feature.error() ?? answer.error()}>
          {(error) => <ErrorNotice error={error()} failed={[feature, answer]} />}
        </Match>
        <Match when={answer.loading() && route().own['run']}>
          <LiveProgress what="The model writes" progress={progress.value()} />
        </Match>
        <Match when={answer.value()}>
          {(shown) => (
            <>
              <p class="faint legend-line">
                <span class="t likelier">likelier</span> <span class="t unlikelier">less likely</span> to the
                changed model than to the model as it is, after the same text. Feature{' '}
                <a href={featureHref(route().latent!)}>{route().latent}</a>, top token{' '}
                <code>{tokenLabel(props.index.vocabulary.text(feature.value()?.top_token ?? -1))}</code>.{' '}
                <ViewFiles name={`steered-${route().latent}`} json={() => steeredJson(shown())} />
              </p>
              <div class="continuations">
                <For each={shown().continuations}>
                  {(continuation) => <ContinuationCard index={props.index} continuation={continuation} />}
                </For>
              </div>
            </>
          )}
        </Match>
      </Switch>
    </section>
  );
}

function strengthsOf(text: string): number[] {
  return text
    .split(/[,;\s]+/)
    .filter((part) => part !== '')
    .map(Number)
    .filter(Number.isFinite)
    .slice(0, 8);
}

/** A difference of log-probabilities that is shown fully. */
const FULL = 4;

function ContinuationCard(props: { index: FeatureIndex; continuation: Continuation }) {
  const { strength, tokens, log_probs, original_log_probs } = props.continuation;
  const differences = log_probs.map((value, i) => value - original_log_probs[i]);
  const mean = differences.reduce((sum, value) => sum + value, 0) / Math.max(1, tokens.length);
  const segments = segmentsOf(tokens, 0, props.index.vocabulary);
  return (
    <article class="card">
      <h2>
        {strength === null ? 'As it is' : signed(strength)}
        <Show when={strength !== null}>
          <span class="faint"> mean difference {signed(mean)}</span>
        </Show>
      </h2>
      <p class="flow">
        <For each={segments}>
          {(segment) => {
            const difference = segment.tokens.reduce(
              (sum, _, i) => sum + differences[segment.position + i],
              0,
            );
            const told = `${tokenLabel(segment.text)}: ${figure(log_probs[segment.position])}, as it is ${figure(original_log_probs[segment.position])}`;
            return (
              <span
                class="t"
                classList={{ likelier: difference > 0.05, unlikelier: difference < -0.05 }}
                style={{ '--e': String(Math.min(1, Math.abs(difference) / FULL)) }}
                title={told}
              >
                {visible(segment.text)}
              </span>
            );
          }}
        </For>
      </p>
    </article>
  );
}
