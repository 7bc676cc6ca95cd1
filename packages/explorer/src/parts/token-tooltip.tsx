import { createEffect, createSignal, For, Show } from 'solid-js';
import type { DocumentRow, EffectRow, FeatureIndex } from '../data/feature-index.ts';
import { count, figure, percent, signed } from '../data/format.ts';
import { type Segment, tokenLabel } from '../data/segments.ts';

export interface TooltipContent {
  readonly anchor: Element;
  readonly segment: Segment;
  readonly activation: number;
  readonly max: number;
  /** Whether the activation of this token is in the index. */
  readonly known: boolean;
  readonly effect: EffectRow | undefined;
  readonly document: DocumentRow | undefined;
  readonly contextSize: number;
}

/** The only tooltip of the page: it moves to the token that is pointed at. */
export function TokenTooltip(props: { content: TooltipContent | undefined; index: FeatureIndex }) {
  const [place, setPlace] = createSignal({ left: 0, top: 0 });
  let box: HTMLDivElement | undefined;
  createEffect(() => {
    const content = props.content;
    if (!content || !box) return;
    const anchor = content.anchor.getBoundingClientRect();
    const { width, height } = box.getBoundingClientRect();
    const left = Math.min(
      window.innerWidth - width - 8,
      Math.max(8, anchor.left + anchor.width / 2 - width / 2),
    );
    const below = anchor.bottom + 8;
    setPlace({ left, top: below + height > window.innerHeight - 8 ? anchor.top - height - 8 : below });
  });
  return (
    <Show when={props.content}>
      {(content) => (
        <div
          ref={box}
          class="tooltip"
          role="status"
          style={{ transform: `translate(${Math.round(place().left)}px, ${Math.round(place().top)}px)` }}
        >
          <div class="first">
            <code>{tokenLabel(content().segment.text)}</code>
            <strong>{content().known ? figure(content().activation) : '–'}</strong>
          </div>
          <div class="faint">
            {content().known
              ? content().activation > 0
                ? `${percent(content().activation / content().max)} of the largest`
                : 'does not fire'
              : 'activation not stored this far out'}
          </div>
          <div class="faint">
            {content().segment.tokens.length > 1 ? 'tokens ' : 'token '}
            {content().segment.tokens.join(' ')} · position{' '}
            {content().segment.position % content().contextSize} · {count(content().segment.position)}
          </div>
          <Show when={content().effect}>
            {(effect) => <EffectAt effect={effect()} index={props.index} />}
          </Show>
          <Show when={content().document}>{(document) => <div class="faint doc">{document().id}</div>}</Show>
        </div>
      )}
    </Show>
  );
}

/** What the model would say next without the feature at this token. */
function EffectAt(props: { effect: EffectRow; index: FeatureIndex }) {
  return (
    <div class="effect">
      <div>
        Without it: loss{' '}
        <strong class={props.effect.loss_change >= 0 ? 'helps' : 'hurts'}>
          {signed(props.effect.loss_change)}
        </strong>
        , KL {figure(props.effect.kl)}
      </div>
      <Changes tokens={props.effect.lowered_tokens} by={props.effect.lowered} index={props.index} />
      <Changes tokens={props.effect.raised_tokens} by={props.effect.raised} index={props.index} />
    </div>
  );
}

function Changes(props: { tokens: readonly number[]; by: readonly number[]; index: FeatureIndex }) {
  return (
    <div class="changes">
      <For each={props.tokens}>
        {(token, i) => (
          <span>
            <code>{tokenLabel(props.index.vocabulary.text(token))}</code>{' '}
            <span class="faint">{signed(props.by[i()])}</span>
          </span>
        )}
      </For>
    </div>
  );
}
