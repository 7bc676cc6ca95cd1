import { For } from 'solid-js';

/** A few choices of which one holds. */
export function RadioGroup<T extends string>(props: {
  label: string;
  choices: readonly T[];
  chosen: T;
  onChoose: (choice: T) => void;
  /** What a choice is called, where that is not its own name. */
  name?: (choice: T) => string;
  title?: (choice: T) => string;
}) {
  return (
    <div class="modes" role="radiogroup" aria-label={props.label}>
      <For each={props.choices}>
        {(choice) => (
          <button
            type="button"
            role="radio"
            aria-checked={props.chosen === choice}
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
