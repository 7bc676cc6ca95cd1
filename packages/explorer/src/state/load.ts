import { batch, createComputed, createMemo, createSignal, on, type Accessor } from 'solid-js';
import { type IndexError, toIndexError } from '../data/index-error.ts';

export interface Load<T> {
  /** The last value that was read; it stays while the next one is on its way. */
  readonly value: Accessor<T | undefined>;
  readonly error: Accessor<IndexError | undefined>;
  readonly loading: Accessor<boolean>;
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
  createComputed(
    on(changed, (current) => {
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
    }),
  );
  return { value, error, loading };
}

function isSame(a: unknown, b: unknown): boolean {
  if (!Array.isArray(a) || !Array.isArray(b)) return a === b;
  return a.length === b.length && a.every((value, i) => value === b[i]);
}
