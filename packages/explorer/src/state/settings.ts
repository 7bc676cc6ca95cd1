import { createSignal, type Signal } from 'solid-js';

export const CONTEXT_MODES = ['near', 'line', 'wide'] as const;
export type ContextMode = (typeof CONTEXT_MODES)[number];
export type Theme = 'system' | 'light' | 'dark';

/** A choice of the reader that this browser remembers. Storage may be refused: then it lasts as long as the page. */
function remembered<T extends string>(name: string, choices: readonly T[], usual: T): Signal<T> {
  const key = `monoseme.${name}`;
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(key);
  } catch {
    // Private windows may throw.
  }
  const [value, setValue] = createSignal<T>(choices.includes(stored as T) ? (stored as T) : usual);
  const set = ((next: T) => {
    setValue(() => next);
    try {
      localStorage.setItem(key, next);
    } catch {
      // As above.
    }
  }) as Signal<T>[1];
  return [value, set];
}

export const [contextMode, setContextMode] = remembered<ContextMode>('context', CONTEXT_MODES, 'line');
export const [theme, setTheme] = remembered<Theme>('theme', ['system', 'light', 'dark'], 'system');
export const [countScale, setCountScale] = remembered<'linear' | 'log'>('counts', ['linear', 'log'], 'log');

export function nextContextMode(): void {
  setContextMode(CONTEXT_MODES[(CONTEXT_MODES.indexOf(contextMode()) + 1) % CONTEXT_MODES.length]);
}

export function toggleTheme(): void {
  const dark = matchMedia('(prefers-color-scheme: dark)').matches;
  const shown = theme() === 'system' ? (dark ? 'dark' : 'light') : theme();
  setTheme(shown === 'dark' ? 'light' : 'dark');
}
