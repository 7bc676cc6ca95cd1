import { batch, createComputed, createSignal, untrack, type Accessor } from 'solid-js';

/** A place on the page that holds one value at a time and draws it, in sight or not. */
export interface Slot<T> {
  readonly value: Accessor<T>;
  readonly isShown: Accessor<boolean>;
}

export interface Slots<T> {
  readonly all: Accessor<readonly Slot<T>[]>;
  /** Draw a value out of sight, in a slot whose value may go; nothing where there is none, or where it is drawn already. */
  readonly prepare: (value: T, mayGo: (value: T) => boolean) => void;
}

interface OwnSlot<T> extends Slot<T> {
  readonly set: (value: T) => void;
}

/**
 * Slots of which one shows the current value. A value that was prepared is shown by turning to its slot, where everything
 * is laid out already; any other one is drawn in the slot that is shown.
 */
export function createSlots<T>(current: Accessor<T | undefined>, most: number): Slots<T> {
  const [all, setAll] = createSignal<readonly OwnSlot<T>[]>([]);
  const [shown, setShown] = createSignal<OwnSlot<T>>();
  const holding = (value: T) => all().find((slot) => slot.value() === value);
  const add = (first: T): OwnSlot<T> => {
    const [value, setValue] = createSignal<T>(first);
    const slot: OwnSlot<T> = {
      value,
      isShown: () => shown() === slot,
      set: (next) => setValue(() => next),
    };
    setAll([...all(), slot]);
    return slot;
  };
  const show = (value: T) => {
    const slot = holding(value) ?? shown() ?? add(value);
    slot.set(value);
    setShown(slot);
  };
  createComputed(() => {
    const value = current();
    if (value !== undefined) untrack(() => batch(() => show(value)));
  });
  return {
    all,
    prepare: (value, mayGo) => {
      if (holding(value)) return;
      const free = all().find((slot) => slot !== shown() && mayGo(slot.value()));
      if (free) free.set(value);
      else if (all().length < most) add(value);
    },
  };
}
