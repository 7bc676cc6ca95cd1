import { createEffect, For, Match, Show, Switch } from 'solid-js';
import {
  alignExamples,
  type AlignedExample,
  type ExampleText,
  ownExamples,
  type TextPlaces,
} from '../data/aligned-examples.ts';
import type { Member } from '../data/collection.ts';
import type { Comparison } from '../data/comparison.ts';
import type { FeatureIndex } from '../data/feature-index.ts';
import { figure, oneIn } from '../data/format.ts';
import { tokenLabel } from '../data/segments.ts';
import { placeIn } from '../data/text-places.ts';
import { createLoad } from '../state/load.ts';
import { memberHref, ownHref } from '../state/route.ts';
import { ErrorNotice } from './error-notice.tsx';
import { AlignedLine } from './token-line.tsx';
import { activationOf, type Highlight, holdsPeak } from './tokens.ts';

/** How places of one text are found in the other; undefined where the texts are different ones. */
function placesOf({ a, b, text }: Comparison): TextPlaces | undefined {
  const same = (token: number) => Promise.resolve(token);
  if (text === 'tokens') return { inA: same, inB: same };
  if (text === 'apart') return undefined;
  return { inA: (token) => placeIn(b, token, a), inB: (token) => placeIn(a, token, b) };
}

/** A feature of the first dictionary beside one of the second: figures, and their examples in the same text. */
export function PairDetail(props: {
  comparison: Comparison;
  latent: number;
  /** Which of the nearest is shown, from 0. */
  match: number;
}) {
  const members = () => props.comparison.members;
  const matches = () => props.comparison.matches[props.latent] ?? [];
  const match = () => matches()[props.match] ?? matches()[0];
  const detail = createLoad(
    () => [props.latent, match()?.latent] as const,
    async ([latent, other]) => {
      const a = { index: props.comparison.a, latent };
      if (other === undefined) return { rows: await ownExamples(a), others: [] };
      const b = { index: props.comparison.b, latent: other };
      const places = placesOf(props.comparison);
      if (places) return { rows: await alignExamples(a, b, places), others: [] };
      const [rows, others] = await Promise.all([ownExamples(a), ownExamples(b)]);
      return { rows, others };
    },
  );
  let element!: HTMLDivElement;
  // In one column the pair stands above the list, out of sight of whoever chooses there.
  createEffect(() => {
    if (!detail.loading() && element.getBoundingClientRect().top < 0) element.scrollIntoView();
  });
  return (
    <div class="pair" ref={element} aria-busy={detail.loading()}>
      <div class="pair-heads">
        <PairHead index={props.comparison.a} member={members()[0]} latent={props.latent} />
        <Show
          when={match()}
          fallback={<p class="faint">No feature of {members()[1].label} is near to it.</p>}
        >
          {(shown) => (
            <div>
              <PairHead index={props.comparison.b} member={members()[1]} latent={shown().latent} />
              <nav class="nearest" aria-label="Nearest features of the second dictionary">
                <For each={matches()}>
                  {(other, i) => (
                    <a
                      href={ownHref({ match: i() === 0 ? '' : String(i()) }, props.latent)}
                      aria-current={other.latent === shown().latent ? 'true' : undefined}
                    >
                      {other.latent} <span class="faint">{figure(other.nearness)}</span>
                    </a>
                  )}
                </For>
              </nav>
            </div>
          )}
        </Show>
      </div>
      <Switch>
        <Match when={detail.error()}>{(error) => <ErrorNotice error={error()} failed={[detail]} />}</Match>
        <Match when={detail.value()}>
          {(shown) => (
            <Show
              when={props.comparison.text !== 'apart' && match() !== undefined}
              fallback={
                <div class="fields two">
                  <OwnExamples examples={shown().rows} />
                  <OwnExamples examples={shown().others} />
                </div>
              }
            >
              <SideBySide examples={shown().rows} />
            </Show>
          )}
        </Match>
      </Switch>
    </div>
  );
}

function PairHead(props: { index: FeatureIndex; member: Member; latent: number }) {
  const feature = createLoad(
    () => props.latent,
    (latent) => props.index.feature(latent),
  );
  const token = (id: number) => tokenLabel(props.index.vocabulary.text(id));
  return (
    <div class="pair-head">
      <h2>
        <a href={memberHref(props.member.name, props.latent)} title={props.member.name}>
          <span class="faint">{props.member.label}</span> {props.latent}
        </a>
      </h2>
      <p class="faint">
        <Show when={feature.value()}>
          {(row) => (
            <>
              fires {oneIn(row().density)}, largest {figure(row().max_activation)}
              <Show when={row().top_token >= 0}>
                , on <code>{token(row().top_token)}</code>
              </Show>
              <Show when={row().top_logit_tokens.length > 0}>
                , raises <code>{row().top_logit_tokens.slice(0, 3).map(token).join('  ')}</code>
              </Show>
            </>
          )}
        </Show>
      </p>
    </div>
  );
}

/** The same text twice a row, coloured by the one feature and by the other. */
function SideBySide(props: { examples: readonly AlignedExample[] }) {
  const shared = () => props.examples.filter(({ a, b }) => a.highlight && b?.highlight).length;
  return (
    <>
      <p class="faint">
        {shared()} of {props.examples.length} of their strongest examples are known of both. “–” says that the
        text is not among the examples of that feature, which may fire there all the same.
      </p>
      <ol class="side-by-side">
        <For each={props.examples}>
          {(example) => (
            <li>
              <ExampleSide example={example.a} />
              <Show
                when={example.b}
                fallback={
                  <div class="example-side unknown">
                    <span class="value">–</span>
                    <span>not in its text</span>
                  </div>
                }
              >
                {(other) => <ExampleSide example={other()} />}
              </Show>
            </li>
          )}
        </For>
      </ol>
    </>
  );
}

function OwnExamples(props: { examples: readonly AlignedExample[] }) {
  return (
    <ol class="side-by-side">
      <For each={props.examples}>
        {(example) => (
          <li class="one">
            <ExampleSide example={example.a} />
          </li>
        )}
      </For>
    </ol>
  );
}

function ExampleSide(props: { example: ExampleText }) {
  const highlight = (): Highlight =>
    props.example.highlight ?? { peak: props.example.peak, max: 1, activations: new Map() };
  const largest = () => {
    const peak = props.example.segments.find((segment) => holdsPeak(segment, highlight()));
    return peak && props.example.highlight ? figure(activationOf(peak, highlight())) : '–';
  };
  return (
    <div class="example-side" classList={{ unknown: props.example.highlight === undefined }}>
      <span class="value">{largest()}</span>
      <AlignedLine segments={props.example.segments} highlight={highlight()} />
    </div>
  );
}
