/**
 * Call a function when its key is pressed outside of fields, without modifiers; Enter on a link or button is theirs. Returns how
 * to stop.
 */
export function onShortcut(keys: Readonly<Record<string, (event: KeyboardEvent) => void>>): () => void {
  const listener = (event: KeyboardEvent) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const target = event.target as HTMLElement;
    if (target.closest('input, select, textarea, dialog')) return;
    const action = keys[event.key];
    if (!action || (event.key === 'Enter' && target.closest('a, button, summary'))) return;
    event.preventDefault();
    action(event);
  };
  document.addEventListener('keydown', listener);
  return () => document.removeEventListener('keydown', listener);
}
