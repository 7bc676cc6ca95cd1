import { Show } from 'solid-js';
import { figure } from '../data/format.ts';

/** The one colour scale of the page, and what the underlines mean. */
export function Legend(props: { max: number; causal?: boolean }) {
  return (
    <div class="legends">
      <div class="legend" role="img" aria-label={`Colour scale: activation from 0 to ${figure(props.max)}`}>
        <span aria-hidden="true">0</span>
        <span class="ramp" aria-hidden="true" />
        <span aria-hidden="true">{figure(props.max)}</span>
      </div>
      <Show when={props.causal}>
        <p
          class="legend"
          title="A token is underlined where taking the feature out one token earlier changes how likely it is. Solid: the feature helps to predict it. Dashed: it hinders."
        >
          <span class="t helped">helps</span>
          <span class="t hurt">hinders</span>
          the prediction
        </p>
      </Show>
    </div>
  );
}
