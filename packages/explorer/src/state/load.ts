import { batch, createComputed, createMemo, createSignal, on, untrack, type Accessor } from 'solid-js';
import { type IndexError, toIndexError } from '../data/index-error.ts';

export interface Load<T> {
  /** The last value that was read; it stays while the next one is on its way. */
  readonly value: Accessor<T | undefined>;
  readonly error: Accessor<IndexError | undefined>;
  readonly loading: Accessor<boolean>;
  /** Read the same once more: what kept it from being read may have passed. */
  readonly again: () => void;
}

/**
 * Read something again whenever its source changes: is another value, or a list of which one is another. An answer that
 * comes after a newer question is dropped.
 */
export function createLoad<S, T>(source: Accessor<S>, read: (source: S) => Promise<T>): Load<T> {
  const [value, setValue] = createSignal<T>();
  const [error, setError] = createSignal<IndexError>();
  const [loading, setLoading] = createSignal(true);
  const changed = createMemo(source, undefined, { equals: isSame });
  let latest = 0;
  const start = (current: S) => {
    const mine = ++latest;
    setLoading(true);
    read(current).then(
      (result) =>
        mine === latest &&
        batch(() => {
          setValue(() => result);
          setError(undefined);
          setLoading(false);
        }),
      (reason: unknown) =>
        mine === latest &&
        batch(() => {
          setError(toIndexError(reason));
          setLoading(false);
        }),
    );
  };
  createComputed(on(changed, start));
  const again = () =>
    batch(() => {
      setError(undefined);
      start(untrack(changed));
    });
  return { value, error, loading, again };
}

/** Where the same is asked for after it has failed: an address that stays as it is asks for nothing. */
export function askAgain(...loads: readonly Load<unknown>[]): void {
  for (const load of loads) if (load.error() && !load.loading()) load.again();
}

function isSame(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
