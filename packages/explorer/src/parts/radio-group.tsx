import { For } from 'solid-js';

/** A few choices of which one holds: one stop of the Tab key, the arrow keys choose. */
export function RadioGroup<T extends string>(props: {
  label: string;
  choices: readonly T[];
  chosen: T;
  onChoose: (choice: T) => void;
  /** What a choice is called, where that is not its own name. */
  name?: (choice: T) => string;
  title?: (choice: T) => string;
}) {
  let group!: HTMLDivElement;
  const onKeyDown = (event: KeyboardEvent) => {
    const step = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 }[event.key];
    if (step === undefined) return;
    event.preventDefault();
    const { choices, chosen } = props;
    const next = (choices.indexOf(chosen) + step + choices.length) % choices.length;
    props.onChoose(choices[next]);
    (group.children[next] as HTMLElement).focus();
  };
  return (
    <div class="modes" role="radiogroup" aria-label={props.label} ref={group} onKeyDown={onKeyDown}>
      <For each={props.choices}>
        {(choice) => (
          <button
            type="button"
            role="radio"
            aria-checked={props.chosen === choice}
            tabIndex={props.chosen === choice ? 0 : -1}
            title={props.title?.(choice)}
            onClick={() => props.onChoose(choice)}
          >
            {props.name?.(choice) ?? choice}
          </button>
        )}
      </For>
    </div>
  );
}
