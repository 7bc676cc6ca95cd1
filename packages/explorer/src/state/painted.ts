import { createEffect, createSignal, onCleanup, type Accessor } from 'solid-js';

/**
 * A value as it was when the last frame was painted. What a reader does not see at first is made of it: it follows a
 * frame behind, and what is in sight does not wait for it. Where no frames are painted, as in a hidden tab, at once.
 */
export function createPainted<T>(value: Accessor<T>): Accessor<T | undefined> {
  const [painted, setPainted] = createSignal<T>();
  createEffect(() => {
    const current = value();
    const keep = () => setPainted(() => current);
    if (document.hidden) return void keep();
    let timer: ReturnType<typeof setTimeout>;
    // What is asked for inside a frame comes before it is painted: a timer set there runs behind it.
    const frame = requestAnimationFrame(() => (timer = setTimeout(keep)));
    onCleanup(() => {
      cancelAnimationFrame(frame);
      clearTimeout(timer);
    });
  });
  return painted;
}
