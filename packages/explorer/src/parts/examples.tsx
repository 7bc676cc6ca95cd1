import { createEffect, createMemo, createSignal, For, Show } from 'solid-js';
import type { EffectRow, ExampleRow, FeatureIndex } from '../data/feature-index.ts';
import type { Example, FeaturePage } from '../data/feature-page.ts';
import { count, figure, percent, signed } from '../data/format.ts';
import { type Segment, tokenLabel } from '../data/segments.ts';
import { go, ownHref, route } from '../state/route.ts';
import { type ContextMode, contextMode, setContextMode } from '../state/settings.ts';
import { Legend } from './legend.tsx';
import { AlignedLine, WrappedText } from './token-line.tsx';
import { TokenTooltip, type TooltipContent } from './token-tooltip.tsx';
import { activationOf, type Highlight, highlightOf, holdsPeak } from './tokens.ts';

/** A token that the reader points at, by pointer or keyboard. */
export interface PointedToken {
  readonly activation: number;
  readonly nextToken: number | undefined;
}

/** Which examples are shown. */
const SECTIONS = ['height', 'share', 'random', 'contrast'] as const;
type Section = (typeof SECTIONS)[number];

const SECTION_NAMES: Readonly<Record<Section, readonly [string, string]>> = {
  height: ['By activation', 'The strongest, then twelve intervals of equal width'],
  share: ['By fifths', 'Each fifth of its firings: most of them are weak'],
  random: ['Random', 'A fair sample of all its firings'],
  contrast: ['Contrast', 'Where it fires, and similar text where it stays silent'],
};

/** The section that the address names. */
export function currentSection(): Section {
  return SECTIONS.find((section) => section === route().own['show']) ?? 'height';
}

export function nextSection(): void {
  const next = SECTIONS[(SECTIONS.indexOf(currentSection()) + 1) % SECTIONS.length];
  go(ownHref({ show: next === 'height' ? '' : next }));
}

interface Group {
  readonly title: string;
  readonly note: string;
  readonly examples: readonly Example[];
}

/** Tokens shown on each side of the peak; a wide example shows all the text that was read. */
const SHOWN: Record<ContextMode, readonly [number, number]> = {
  near: [4, 4],
  line: [24, 32],
  wide: [Infinity, Infinity],
};

const MODES: readonly [ContextMode, string, string][] = [
  ['near', 'Near', 'Four tokens on each side, as in the paper'],
  ['line', 'Line', 'One line, peaks under each other'],
  ['wide', 'Wide', 'Paragraphs'],
];

/** The examples of a feature by group, on one colour scale. */
export function Examples(props: {
  index: FeatureIndex;
  page: FeaturePage;
  onPoint: (token: PointedToken | undefined) => void;
}) {
  const [tooltip, setTooltip] = createSignal<TooltipContent>();
  const max = () => props.page.feature.max_activation;
  const groups = createMemo(() => groupsOf(props.index, props.page, currentSection()));
  const lines = new WeakMap<
    Element,
    { example: Example; segments: readonly Segment[]; highlight: Highlight }
  >();
  let container!: HTMLElement;

  const point = (span: Element | null) => {
    const line = span?.closest('[data-example]');
    const entry = line && lines.get(line);
    if (!entry || !span) {
      setTooltip(undefined);
      props.onPoint(undefined);
      return;
    }
    const segment = entry.segments[Number((span as HTMLElement).dataset.i)];
    const activation = activationOf(segment, entry.highlight);
    const after = entry.segments[Number((span as HTMLElement).dataset.i) + 1];
    setTooltip({
      anchor: span,
      segment,
      activation,
      max: max(),
      effect: effectAt(props.page, segment),
      known: isKnown(props.index, entry.example, segment),
      document: entry.example.document,
      contextSize: props.index.corpus.contextSize,
    });
    props.onPoint({ activation, nextToken: after?.tokens[0] });
  };
  const onPointer = (event: PointerEvent) => {
    if (event.pointerType === 'touch' && event.type === 'pointerover') return;
    point((event.target as Element).closest('.t'));
  };
  const onKeyDown = (event: KeyboardEvent) => moveByKey(event, container, point);

  return (
    <section
      class="examples"
      ref={container}
      aria-label="Examples"
      onPointerOver={onPointer}
      onPointerDown={onPointer}
      onPointerLeave={() => point(null)}
      onFocusIn={(event) => point(peakOf(event.target as Element))}
      onFocusOut={() => point(null)}
      onKeyDown={onKeyDown}
    >
      <div class="examples-head">
        <Legend max={max()} causal={props.page.effects.size > 0} />
        <div class="modes" role="radiogroup" aria-label="Which examples">
          <For each={SECTIONS}>
            {(section) => (
              <button
                type="button"
                role="radio"
                aria-checked={currentSection() === section}
                title={`${SECTION_NAMES[section][1]} (x)`}
                onClick={() => go(ownHref({ show: section === 'height' ? '' : section }))}
              >
                {SECTION_NAMES[section][0]}
              </button>
            )}
          </For>
        </div>
        <div class="modes" role="radiogroup" aria-label="Text around the peak">
          <For each={MODES}>
            {([mode, name, title]) => (
              <button
                type="button"
                role="radio"
                aria-checked={contextMode() === mode}
                title={`${title} (c)`}
                onClick={() => setContextMode(mode)}
              >
                {name}
              </button>
            )}
          </For>
        </div>
      </div>
      <div class="groups" classList={{ contrast: currentSection() === 'contrast' }}>
        <For each={groups()}>
          {(group) => (
            <section class="group">
              <h2>
                {group.title} <span class="faint">{group.note}</span>
              </h2>
              <ol classList={{ [contextMode()]: true }}>
                <For each={group.examples}>
                  {(example) => (
                    <ExampleLine
                      index={props.index}
                      page={props.page}
                      example={example}
                      max={max()}
                      onChange={(element, segments, highlight) =>
                        lines.set(element, { example, segments, highlight })
                      }
                    />
                  )}
                </For>
              </ol>
            </section>
          )}
        </For>
      </div>
      <TokenTooltip content={tooltip()} index={props.index} />
    </section>
  );
}

function ExampleLine(props: {
  index: FeatureIndex;
  page: FeaturePage;
  example: Example;
  max: number;
  onChange: (element: Element, segments: readonly Segment[], highlight: Highlight) => void;
}) {
  let element!: HTMLLIElement;
  const row = () => props.example.row;
  const highlight = createMemo(() => {
    const { token_index, activation, near_offsets, near_activations } = row();
    return {
      ...highlightOf(token_index, activation, near_offsets, near_activations, props.max),
      effects: props.page.effects,
    };
  });
  const segments = createMemo(() => {
    const [before, after] = SHOWN[contextMode()];
    const { token_index } = row();
    return props.example.segments.filter(
      (segment) => segment.position >= token_index - before && segment.position <= token_index + after,
    );
  });
  const known = (): [number, number] => {
    const radius = props.index.manifest.examples.window_radius;
    return [row().token_index - radius, row().token_index + radius];
  };
  createEffect(() => props.onChange(element, segments(), highlight()));
  const peak = () => segments().find((segment) => holdsPeak(segment, highlight()));
  return (
    <li
      class="example"
      data-example
      tabindex="0"
      classList={{ repeats: row().repeats, silent: row().group === 'near_miss' }}
      title={row().repeats ? 'Shown above already, or of the same context' : undefined}
      ref={element}
    >
      <span class="value" aria-hidden="true">
        {figure(row().activation)}
      </span>
      <span class="sr">{spoken(peak(), row(), props.page.effects.get(row().token_index))}</span>
      <span class="text">
        <Show
          when={contextMode() !== 'wide'}
          fallback={<WrappedText segments={segments()} highlight={highlight()} known={known()} />}
        >
          <AlignedLine segments={segments()} highlight={highlight()} known={known()} />
        </Show>
      </span>
      <span class="source" title={props.example.document?.id}>
        {props.example.document?.id}
      </span>
    </li>
  );
}

/** What a screen reader says before the text of an example. */
function spoken(peak: Segment | undefined, row: ExampleRow, effect: EffectRow | undefined): string {
  const token = tokenLabel(peak?.text ?? '');
  if (row.group === 'near_miss') return `Silent on ${token}: `;
  const without = effect ? `, without it the next token's loss changes by ${signed(effect.loss_change)}` : '';
  return `Peak ${token}, activation ${figure(row.activation)}${without}${row.repeats ? ', repeated' : ''}: `;
}

function effectAt(page: FeaturePage, segment: Segment): EffectRow | undefined {
  for (let i = segment.tokens.length - 1; i >= 0; i--) {
    const effect = page.effects.get(segment.position + i);
    if (effect) return effect;
  }
  return undefined;
}

function isKnown(index: FeatureIndex, { row }: Example, segment: Segment): boolean {
  return Math.abs(segment.position - row.token_index) <= index.manifest.examples.window_radius;
}

function peakOf(target: Element): Element | null {
  return target.matches('[data-example]') ? target.querySelector('.peak') : null;
}

/** Left and right go through the tokens of a line, up and down through the lines. */
function moveByKey(
  event: KeyboardEvent,
  container: HTMLElement,
  point: (span: Element | null) => void,
): void {
  const line = (event.target as Element).closest<HTMLElement>('[data-example]');
  const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -1, ArrowDown: 1 }[event.key];
  if (!line || step === undefined) return;
  event.preventDefault();
  if (event.key === 'ArrowUp' || event.key === 'ArrowDown') {
    const all = [...container.querySelectorAll<HTMLElement>('[data-example]')];
    all[all.indexOf(line) + step]?.focus();
    return;
  }
  const spans = [...line.querySelectorAll('.t')];
  const now = line.querySelector('.t.cursor') ?? line.querySelector('.t.peak');
  const next = spans[spans.indexOf(now!) + step];
  if (!next) return;
  now?.classList.remove('cursor');
  next.classList.add('cursor');
  point(next);
}

/** The groups of a section, in the order of reading. */
function groupsOf(index: FeatureIndex, page: FeaturePage, section: Section): Group[] {
  const of = (name: ExampleRow['group']) => page.examples.filter(({ row }) => row.group === name);
  const top: Group = { title: 'Top', note: 'the largest activations', examples: of('top') };
  if (section === 'height') return [top, ...intervals(index, page, of('interval'))];
  if (section === 'share') return fifths(page, of('quantile'));
  if (section === 'random')
    return [
      { title: 'Random', note: 'drawn from all its firings, none passed over', examples: of('random') },
    ];
  const silent = of('near_miss');
  return [
    { title: 'Fires', note: 'the largest activations', examples: top.examples.slice(0, 10) },
    {
      title: 'Stays silent',
      note:
        silent.length > 0
          ? 'on the same tokens, in the most similar text'
          : 'nowhere on its tokens, as far as was looked',
      examples: silent,
    },
  ];
}

/** Intervals carry their bounds and what share of the firings lies in them. */
function intervals(index: FeatureIndex, { feature, details }: FeaturePage, examples: Example[]): Group[] {
  const { n_intervals } = index.manifest.examples;
  const perInterval = details.histogram.length / n_intervals;
  return Array.from({ length: n_intervals }, (_, interval) => {
    const high = (feature.max_activation * (n_intervals - interval)) / n_intervals;
    const low = (feature.max_activation * (n_intervals - interval - 1)) / n_intervals;
    const first = (n_intervals - interval - 1) * perInterval;
    const firings = details.histogram.slice(first, first + perInterval).reduce((sum, n) => sum + n, 0);
    return {
      title: `${figure(low)} to ${figure(high)}`,
      note: `interval ${interval} · ${percent(firings / feature.n_fired)} of its firings, ${count(firings)}`,
      examples: examples.filter(({ row }) => row.interval === interval),
    };
  }).filter((group) => group.examples.length > 0);
}

const FIFTHS = ['Strongest fifth', 'Second fifth', 'Middle fifth', 'Fourth fifth', 'Weakest fifth'];

function fifths({ feature }: FeaturePage, examples: Example[]): Group[] {
  return FIFTHS.map((title, fifth) => ({
    title,
    note: `of its firings, ${count(Math.round(feature.n_fired / 5))}`,
    examples: examples.filter(({ row }) => row.interval === fifth),
  })).filter((group) => group.examples.length > 0);
}
