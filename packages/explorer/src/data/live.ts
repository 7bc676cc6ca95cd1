import { IndexError } from './index-error.ts';

/** Limits and names of a live model. */
export interface LiveFacts {
  readonly model_name: string;
  readonly hook_name: string;
  readonly most_characters: number;
  readonly most_tokens: number;
  readonly most_new_tokens: number;
}

export interface EncodedText {
  readonly tokens: readonly number[];
  readonly losses: readonly (number | null)[];
  readonly features: readonly (readonly { readonly latent_index: number; readonly activation: number }[])[];
  readonly n_left_out: number;
}

export interface LiveEffect {
  readonly loss_change: number | null;
  readonly kl: number;
}

export interface SteerQuestion {
  readonly prompt: string;
  readonly latent_index: number;
  readonly mode: 'add' | 'scale' | 'clamp';
  readonly strengths: readonly number[];
  readonly unit: number;
  readonly tokens: number;
  readonly temperature: number;
  readonly seed: number;
}

export interface Continuation {
  readonly strength: number | null;
  readonly tokens: readonly number[];
  readonly log_probs: readonly number[];
  readonly original_log_probs: readonly number[];
}

/** A model that works on a reader's text. The views know only this: where it runs is its own matter. */
export interface LiveModel {
  readonly facts: LiveFacts;
  encode(text: string): Promise<EncodedText>;
  ablate(text: string, at: readonly { token: number; latent_index: number }[]): Promise<LiveEffect[]>;
  steer(question: SteerQuestion): Promise<{ prompt: readonly number[]; continuations: Continuation[] }>;
}

/** The model behind the page's own server; undefined where the page is only files. */
export async function serverModel(): Promise<LiveModel | undefined> {
  const url = new URL('api/live', document.baseURI);
  const response = await fetch(url).catch(() => undefined);
  if (!response?.ok || !/json/.test(response.headers.get('content-type') ?? '')) return undefined;
  const facts = (await response.json()) as LiveFacts;
  return {
    facts,
    encode: (text) => ask('encode', { text }),
    ablate: async (text, at) => (await ask<{ effects: LiveEffect[] }>('ablate', { text, at })).effects,
    steer: (question) => ask('steer', question),
  };
}

async function ask<T>(name: string, body: object): Promise<T> {
  const response = await fetch(new URL(`api/${name}`, document.baseURI), {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  }).catch(() => undefined);
  if (!response)
    throw new IndexError(
      'The model does not answer',
      'Its server has ended, or cannot be reached.',
      'Start `monoseme explore` again. All other views go on working from files.',
    );
  const json = (await response.json().catch(() => undefined)) as
    (T & { error?: { message?: string } }) | undefined;
  if (response.ok && json) return json;
  throw new IndexError(
    'This could not be computed',
    json?.error?.message ?? `The server said ${response.status}.`,
    '',
  );
}
