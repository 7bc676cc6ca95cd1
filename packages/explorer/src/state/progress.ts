import { type Accessor, createSignal } from 'solid-js';
import type { LiveProgress, OnProgress } from '../data/live.ts';

/** Where a request to the model stands, as it tells; for one that is asked again and again. */
export function createProgress(): {
  readonly value: Accessor<LiveProgress | undefined>;
  readonly tell: OnProgress;
} {
  const [value, setValue] = createSignal<LiveProgress>();
  return { value, tell: (progress) => setValue(progress) };
}
