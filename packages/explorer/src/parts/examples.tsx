import { createMemo, createSignal, For, Show } from 'solid-js';
import { type ExampleGroup, exampleGroups, type Section, SECTIONS } from '../data/example-groups.ts';
import type { EffectRow, FeatureIndex } from '../data/feature-index.ts';
import type { Example, FeaturePage } from '../data/feature-page.ts';
import type { Segment } from '../data/segments.ts';
import { createPainted } from '../state/painted.ts';
import { go, ownHref, route } from '../state/route.ts';
import { CONTEXT_MODES, type ContextMode, setContextMode } from '../state/settings.ts';
import { exampleLine, lineOf } from './example-line.ts';
import { Legend } from './legend.tsx';
import { RadioGroup } from './radio-group.tsx';
import { TokenTooltip, type TooltipContent } from './token-tooltip.tsx';
import { activationOf } from './tokens.ts';

/** A token that the reader points at, by pointer or keyboard. */
export interface PointedToken {
  readonly activation: number;
  /** The token, or those that share its character, and the one behind. */
  readonly tokens: readonly number[];
  readonly nextToken: number | undefined;
}

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

const MODE_NAMES: Readonly<Record<ContextMode, readonly [string, string]>> = {
  near: ['Near', 'Four tokens on each side, as in the paper'],
  line: ['Line', 'One line, peaks under each other'],
  wide: ['Wide', 'Paragraphs'],
};

/** Which examples are shown, and how much of their text. */
export interface Look {
  readonly section: Section;
  readonly mode: ContextMode;
}

/** The examples of a feature by group, on one colour scale. */
export function Examples(props: {
  index: FeatureIndex;
  page: FeaturePage;
  look: Look;
  /** Else only what will be in sight is made. */
  isShown: boolean;
  onPoint: (token: PointedToken | undefined) => void;
}) {
  const [tooltip, setTooltip] = createSignal<TooltipContent>();
  const max = () => props.page.feature.max_activation;
  const isOfArrays = () => props.index.manifest.corpus.axes !== undefined;
  const section = createMemo(() => props.look.section);
  const mode = () => props.look.mode;
  const groups = createMemo(() => exampleGroups(props.index, props.page, section()));
  // What is out of sight follows, and what stood there goes, once what is in sight is painted.
  const parts = createMemo(() => bySight(groups()));
  const behind = createPainted(() => (props.isShown ? parts().behind : []));
  let container!: HTMLElement;

  const point = (span: Element | null) => {
    const line = span?.closest('[data-example]');
    const entry = line && lineOf(line);
    if (!entry || !span) {
      setTooltip(undefined);
      props.onPoint(undefined);
      return;
    }
    const place = [...line.querySelectorAll('.t')].indexOf(span);
    const segment = entry.segments[place];
    const activation = activationOf(segment, entry.highlight);
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
    props.onPoint({ activation, tokens: segment.tokens, nextToken: entry.segments[place + 1]?.tokens[0] });
  };
  const onPointer = (event: PointerEvent) => {
    if (event.pointerType === 'touch' && event.type === 'pointerover') return;
    const line = (event.target as Element).closest('[data-example]');
    if (line) lineOf(line)?.takeApart();
    point(document.elementFromPoint(event.clientX, event.clientY)?.closest('.t') ?? null);
  };
  const onFocus = (event: FocusEvent) => {
    const line = event.target as Element;
    lineOf(line)?.takeApart();
    point(line.querySelector(':scope[data-example] .peak'));
  };
  const onKeyDown = (event: KeyboardEvent) => moveByKey(event, container, point);
  const linesOf = (shown: ExampleGroup) =>
    shown.examples.map((example) => exampleLine(props.index, props.page, example, mode()));
  const group = (shown: ExampleGroup, isInSight: boolean) => (
    <section
      class={isInSight ? 'group in-sight' : 'group'}
      style={{ '--lines': String(shown.examples.length) }}
    >
      <h2>
        {shown.title} <span class="faint">{shown.note}</span>
      </h2>
      <ol classList={{ [isOfArrays() ? 'samples' : mode()]: true }}>{linesOf(shown)}</ol>
    </section>
  );

  return (
    <section
      class="examples"
      ref={container}
      aria-label="Examples"
      onPointerOver={onPointer}
      onPointerDown={onPointer}
      onPointerLeave={() => point(null)}
      onFocusIn={onFocus}
      onFocusOut={() => point(null)}
      onKeyDown={onKeyDown}
    >
      <div class="examples-head">
        <Legend max={max()} causal={props.page.effects.size > 0} />
        <RadioGroup
          label="Which examples"
          choices={SECTIONS}
          chosen={section()}
          onChoose={(choice) => go(ownHref({ show: choice === 'height' ? '' : choice }))}
          name={(choice) => SECTION_NAMES[choice][0]}
          title={(choice) => `${SECTION_NAMES[choice][1]} (x)`}
        />
        <Show when={!isOfArrays()}>
          <RadioGroup
            label="Text around the peak"
            choices={CONTEXT_MODES}
            chosen={mode()}
            onChoose={setContextMode}
            name={(mode) => MODE_NAMES[mode][0]}
            title={(mode) => `${MODE_NAMES[mode][1]} (c)`}
          />
        </Show>
      </div>
      <div class="groups" classList={{ contrast: section() === 'contrast' }}>
        <For each={parts().inSight}>{(shown) => group(shown, true)}</For>
        <For each={behind()}>{(shown) => group(shown, false)}</For>
      </div>
      <TokenTooltip content={tooltip()} index={props.index} />
    </section>
  );
}

/** The least height of what is above the examples, of a group's head and of an example, in pixels. */
const [TOP_HEIGHT, HEAD_HEIGHT, LINE_HEIGHT] = [100, 48, 25];

interface BySight {
  readonly inSight: readonly ExampleGroup[];
  readonly behind: readonly ExampleGroup[];
}

/** The groups at the top that fill the window, and the others. */
function bySight(groups: readonly ExampleGroup[]): BySight {
  let height = TOP_HEIGHT;
  let n = 0;
  for (; n < groups.length && height <= window.innerHeight; n++)
    height += HEAD_HEIGHT + groups[n].examples.length * LINE_HEIGHT;
  return { inSight: groups.slice(0, n), behind: groups.slice(n) };
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
