import { createSignal } from 'solid-js';

/** What a reader wrote down about the features of one dictionary. Kept by this browser, and as a file by the reader. */
export interface Notebook {
  readonly dictionary: string;
  /** Latents, in the order in which they were starred. */
  readonly stars: readonly number[];
  /** Notes by latent. */
  readonly notes: Readonly<Record<string, string>>;
}

/** A note is a remark, not a document; and storage is small. */
const LONGEST_NOTE = 4000;
const MOST_ENTRIES = 20_000;

const [notebook, setNotebook] = createSignal<Notebook>({ dictionary: '', stars: [], notes: {} });

export { notebook };

/** Open the notes about a dictionary, known by its hash. */
export function openNotebook(dictionary: string): void {
  const empty = { dictionary, stars: [], notes: {} };
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(`monoseme.notebook.${dictionary}`);
  } catch {
    // Private windows may throw: then notes last as long as the page.
  }
  setNotebook(stored ? (parseNotebook(stored, dictionary) ?? empty) : empty);
}

export function isStarred(latent: number): boolean {
  return notebook().stars.includes(latent);
}

export function toggleStar(latent: number): void {
  const { stars } = notebook();
  write({ stars: isStarred(latent) ? stars.filter((other) => other !== latent) : [...stars, latent] });
}

export function noteOf(latent: number): string {
  return notebook().notes[latent] ?? '';
}

export function setNote(latent: number, text: string): void {
  const { [latent]: _, ...others } = notebook().notes;
  write({ notes: text.trim() === '' ? others : { ...others, [latent]: text.slice(0, LONGEST_NOTE) } });
}

export function notebookFile(): string {
  return `${JSON.stringify({ kind: 'monoseme-notebook', ...notebook() }, undefined, 2)}\n`;
}

/**
 * Add the notes of a file to those that are there; where both have a note on a feature, both are kept.
 *
 * @returns what went wrong, in words; undefined when all went well
 */
export function addNotebookFile(text: string): string | undefined {
  const read = parseNotebook(text, undefined);
  if (!read) return 'This is not a file of notes that this page wrote.';
  if (read.dictionary !== notebook().dictionary) return 'These notes are about another dictionary.';
  const notes = { ...notebook().notes };
  for (const [latent, note] of Object.entries(read.notes)) {
    const mine = notes[latent];
    notes[latent] = mine === undefined || mine === note ? note : `${mine}\n${note}`.slice(0, LONGEST_NOTE);
  }
  write({ stars: [...new Set([...notebook().stars, ...read.stars])], notes });
  return undefined;
}

function write(change: Partial<Notebook>): void {
  const next = { ...notebook(), ...change };
  setNotebook(next);
  try {
    localStorage.setItem(`monoseme.notebook.${next.dictionary}`, JSON.stringify(next));
  } catch {
    // As above.
  }
}

function parseNotebook(text: string, dictionary: string | undefined): Notebook | undefined {
  try {
    const json = JSON.parse(text) as Partial<Record<keyof Notebook, unknown>>;
    const stars = (Array.isArray(json.stars) ? json.stars : []).filter((n) => Number.isInteger(n) && n >= 0);
    const entries = Object.entries((json.notes ?? {}) as Record<string, unknown>).filter(
      (entry): entry is [string, string] => /^\d{1,9}$/.test(entry[0]) && typeof entry[1] === 'string',
    );
    if (typeof json.dictionary !== 'string') return undefined;
    return {
      dictionary: dictionary ?? json.dictionary,
      stars: stars.slice(0, MOST_ENTRIES) as number[],
      notes: Object.fromEntries(
        entries.slice(0, MOST_ENTRIES).map(([latent, note]) => [latent, note.slice(0, LONGEST_NOTE)]),
      ),
    };
  } catch {
    return undefined;
  }
}
