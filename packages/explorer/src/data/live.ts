import type { Effect, EncodedText, SteeredText, SteerRequest } from 'monoseme/server';
import { IndexError } from './index-error.ts';

/** Limits and names of a live model. */
export interface LiveFacts {
  readonly model_name: string;
  readonly hook_name: string;
  readonly most_characters: number;
  readonly most_tokens: number;
  readonly most_new_tokens: number;
}

export type LiveEffect = Pick<Effect, 'loss_change' | 'kl'>;
export type Continuation = SteeredText['continuations'][number];

/** Where a request stands: how many are before it, then how much of its own work is done. */
export type LiveProgress = { readonly waiting: number } | { readonly done: number; readonly total: number };
export type OnProgress = (progress: LiveProgress) => void;

/** A model that works on a reader's text. The views know only this: where it runs is its own matter. */
export interface LiveModel {
  readonly facts: LiveFacts;
  encode(text: string, onProgress?: OnProgress): Promise<EncodedText>;
  ablate(
    text: string,
    at: readonly { token: number; latent_index: number }[],
    onProgress?: OnProgress,
  ): Promise<LiveEffect[]>;
  steer(question: SteerRequest, onProgress?: OnProgress): Promise<SteeredText>;
}

/**
 * The model behind the page's own server, of a dictionary of a collection where one is named; undefined where the page
 * is only files, or there is no model for it.
 *
 * @throws {IndexError} where the server cannot open it, and says why
 */
export async function serverModel(member: string): Promise<LiveModel | undefined> {
  const base = new URL(member === '' ? 'api/' : `api/of/${member}/`, document.baseURI);
  const response = await fetch(new URL('live', base)).catch(() => undefined);
  if (response?.status === 409)
    throw new IndexError(
      'The model cannot be opened',
      await response.text(),
      'Lists, features, the map and the search work from files alone.',
    );
  if (!response?.ok || !/json/.test(response.headers.get('content-type') ?? '')) return undefined;
  const facts = (await response.json()) as LiveFacts;
  return {
    facts,
    encode: (text, tell) => ask(base, 'encode', { text }, tell),
    ablate: async (text, at, tell) =>
      (await ask<{ effects: LiveEffect[] }>(base, 'ablate', { text, at }, tell)).effects,
    steer: (question, tell) => ask(base, 'steer', question, tell),
  };
}

type Told<T> = LiveProgress | { readonly answer: T } | { readonly error: { readonly message?: string } };

/** The answer comes behind lines that tell where the request stands. */
async function ask<T>(base: URL, name: string, body: object, tell: OnProgress = () => {}): Promise<T> {
  tell({ waiting: 0 });
  const response = await fetch(new URL(name, base), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Accept: 'application/x-ndjson' },
    body: JSON.stringify(body),
  }).catch(() => undefined);
  if (!response) throw unanswered();
  if (!response.ok) {
    const { error } = (await response.json().catch(() => ({}))) as { error?: { message?: string } };
    throw uncomputed(error?.message ?? `The server said ${response.status}.`);
  }
  for await (const told of linesOf<Told<T>>(response)) {
    if ('answer' in told) return told.answer;
    if ('error' in told) throw uncomputed(told.error.message ?? 'The server does not say why.');
    tell(told);
  }
  throw unanswered();
}

/** @throws {IndexError} when the server goes away in the middle */
async function* linesOf<T>(response: Response): AsyncGenerator<T> {
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  for (;;) {
    const { done, value } = await reader.read().catch(() => ({ done: true, value: undefined }));
    const lines = (rest + (value ?? '')).split('\n');
    rest = lines.pop()!;
    for (const line of lines) yield JSON.parse(line) as T;
    if (done) return;
  }
}

function unanswered(): IndexError {
  return new IndexError(
    'The model does not answer',
    'Its server has ended, or cannot be reached.',
    'Start `monoseme explore` again, then try again. What this tab has read before goes on working.',
    { canPass: true },
  );
}

function uncomputed(reason: string): IndexError {
  return new IndexError('This could not be computed', reason, '');
}
