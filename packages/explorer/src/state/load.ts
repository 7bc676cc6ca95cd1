import { batch, createComputed, createSignal, on, type Accessor } from 'solid-js';
import { type IndexError, toIndexError } from '../data/index-error.ts';

export interface Load<T> {
  /** The last value that was read; it stays while the next one is on its way. */
  readonly value: Accessor<T | undefined>;
  readonly error: Accessor<IndexError | undefined>;
  readonly loading: Accessor<boolean>;
}

/** Read something again whenever its source changes. An answer that comes after a newer question is dropped. */
export function createLoad<S, T>(source: Accessor<S>, read: (source: S) => Promise<T>): Load<T> {
  const [value, setValue] = createSignal<T>();
  const [error, setError] = createSignal<IndexError>();
  const [loading, setLoading] = createSignal(true);
  let latest = 0;
  createComputed(
    on(source, (current) => {
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
