import { createMemo, For } from 'solid-js';
import { figure } from '../data/format.ts';
import { tokenLabel, visible } from '../data/segments.ts';
import { activationsOf, type ReadText } from '../data/text-features.ts';

/** The text, token by token. */
export function TokenFlow(props: {
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
