import type { Manifest } from './manifest.ts';

/** How the places of a sample lie: in rows of so many columns, of so many places in all. */
export interface SampleShape {
  readonly columns: number;
  readonly size: number;
}

/** Undefined in an index of text. */
export function sampleShape({ corpus }: Manifest): SampleShape | undefined {
  const last = corpus.axes?.at(-1);
  return last && { columns: last.size, size: corpus.context_size };
}

/** What a token of the index is called, and a context, and what a text is. */
export function unitNames({ corpus }: Manifest) {
  return corpus.axes
    ? { token: 'place', tokens: 'places', documents: 'samples' }
    : { token: 'token', tokens: 'tokens', documents: 'documents' };
}
