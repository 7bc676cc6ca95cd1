import type { HttpBindings } from '@hono/node-server';
import { type Context, Hono } from 'hono';
import { bodyLimit } from 'hono/body-limit';
import { isInterruption, MonosemeError } from '../errors.ts';
import { type LiveModel, MOST_TOKENS } from './live-model.ts';
import { type Job, LiveQueue } from './live-queue.ts';
import { openApi } from './open-api.ts';
import { progressResponse } from './progress-response.ts';
import type { SteerMode, SteerRequest } from './steer-request.ts';

/** A page of text; what is longer has more tokens than are looked at. */
export const MOST_CHARACTERS = 20_000;
const MOST_ABLATIONS = 4096;
const MOST_STRENGTHS = 8;
const MOST_NEW_TOKENS = 128;
/** Text in JSON may take six bytes a character, escaped. */
const BODY_BYTES = 6 * MOST_CHARACTERS + 2 ** 18;

type Fields = Readonly<Record<string, unknown>>;
type Work = (job: Job) => Promise<object>;

/** The live endpoints, under `/api`: what the model and the dictionary make of a reader's text. */
export function liveApi(model: LiveModel, queue = new LiveQueue()): Hono<{ Bindings: HttpBindings }> {
  const api = new Hono<{ Bindings: HttpBindings }>();
  api.use(bodyLimit({ maxSize: BODY_BYTES, onError: (context) => problem(context, 413, tooLong()) }));
  api.use(async (context, next) => {
    await next();
    context.res.headers.set('Cache-Control', 'no-store');
  });
  api.get('/openapi.json', (context) => context.json(openApi()));
  api.get('/live', (context) =>
    context.json({
      model_name: model.parts.dictionary.config.modelName,
      hook_name: model.parts.runner.hookName,
      context_size: model.contextSize,
      most_characters: MOST_CHARACTERS,
      most_tokens: MOST_TOKENS,
      most_new_tokens: MOST_NEW_TOKENS,
      waiting: queue.length,
    }),
  );
  const post = (path: string, parse: (fields: Fields) => Work) =>
    api.post(path, async (context) => {
      // A form of another site cannot send this type without being asked first.
      if (!/^application\/json\b/.test(context.req.header('content-type') ?? ''))
        return problem(
          context,
          415,
          new MonosemeError('ERR_OPTION', 'The body is not JSON.', 'Send application/json.'),
        );
      const fields = (await context.req.json().catch(() => undefined)) as unknown;
      if (typeof fields !== 'object' || fields === null)
        return problem(context, 400, new MonosemeError('ERR_FORMAT', 'The body is no JSON object.', ''));
      try {
        // What is malformed does not wait to be told so.
        const work = parse(fields as Fields);
        const client = context.req.raw.signal;
        if (/\bapplication\/x-ndjson\b/.test(context.req.header('accept') ?? ''))
          return progressResponse(
            (tell) => queue.run(client, work, tell),
            (error) => problemJson(toProblem(error)),
          );
        return context.json(await queue.run(client, work));
      } catch (error) {
        return answerFailure(context, error);
      }
    });
  post('/encode', (fields) => {
    const given = text(fields, 'text');
    return (job) => model.encode(given, job);
  });
  post('/ablate', (fields) => {
    const [given, at] = [text(fields, 'text'), list(fields, 'at', MOST_ABLATIONS).map(place)];
    return async (job) => ({ effects: await model.ablate(given, at, job) });
  });
  post('/steer', (fields) => {
    const request = steerRequest(fields);
    return (job) => model.steer(request, job);
  });
  api.all('*', (context) => context.text('There is nothing here.\n', 404));
  return api;
}

function place(value: unknown): { token: number; latent_index: number } {
  const { token, latent_index } = (value ?? {}) as Fields;
  return { token: Number(token), latent_index: Number(latent_index) };
}

function steerRequest(fields: Fields): SteerRequest {
  const modes: readonly SteerMode[] = ['add', 'scale', 'clamp'];
  const mode = modes.find((known) => known === fields['mode']);
  if (!mode) throw wrong('mode', fields['mode'], `one of ${modes.join(', ')}`);
  return {
    prompt: text(fields, 'prompt'),
    mode,
    latent_index: number(fields, 'latent_index', 0, 2 ** 31),
    strengths: list(fields, 'strengths', MOST_STRENGTHS).map((value) =>
      number({ strength: value }, 'strength', -1000, 1000),
    ),
    unit: number(fields, 'unit', 0, 1e6),
    tokens: Math.floor(number(fields, 'tokens', 1, MOST_NEW_TOKENS)),
    temperature: number(fields, 'temperature', 0, 10),
    seed: Math.floor(number(fields, 'seed', 0, 2 ** 32 - 1)),
  };
}

function text(fields: Fields, name: string): string {
  const value = fields[name];
  if (typeof value !== 'string') throw wrong(name, value, 'a text');
  if (value.length > MOST_CHARACTERS) throw tooLong();
  return value;
}

function number(fields: Fields, name: string, low: number, high: number): number {
  const value = fields[name];
  if (typeof value === 'number' && value >= low && value <= high) return value;
  throw wrong(name, value, `a number from ${low} to ${high}`);
}

function list(fields: Fields, name: string, most: number): unknown[] {
  const value = fields[name];
  if (Array.isArray(value) && value.length <= most) return value;
  throw wrong(name, Array.isArray(value) ? `a list of ${value.length}` : value, `a list of at most ${most}`);
}

function wrong(name: string, value: unknown, wanted: string): MonosemeError {
  const shown = String(JSON.stringify(value)).slice(0, 60);
  return new MonosemeError('ERR_OPTION', `${name} is ${shown}.`, `It takes ${wanted}.`);
}

function tooLong(): MonosemeError {
  return new MonosemeError(
    'ERR_LIMIT',
    `The text is longer than ${MOST_CHARACTERS} characters.`,
    'Choose a part of it.',
  );
}

function answerFailure(context: Context, error: unknown): Response {
  const told = toProblem(error);
  return problem(context, statusOf(told), told);
}

/** @throws what is no error of ours */
function toProblem(error: unknown): MonosemeError {
  if (isInterruption(error))
    return new MonosemeError('ERR_INTERRUPTED', 'This took too long.', 'Ask for fewer tokens or strengths.');
  if (error instanceof MonosemeError) return error;
  throw error;
}

type Status = 400 | 413 | 415 | 429 | 500 | 503;

function statusOf({ code, what }: MonosemeError): Status {
  if (code === 'ERR_INTERRUPTED') return 503;
  if (code === 'ERR_LIMIT') return /wait/.test(what) ? 429 : 413;
  return ['ERR_MODEL', 'ERR_MEMORY', 'ERR_KERNEL'].includes(code) ? 500 : 400;
}

function problem(context: Context, status: Status, error: MonosemeError): Response {
  return context.json(problemJson(error), status);
}

function problemJson({ code, message }: MonosemeError): object {
  return { error: { code, message } };
}
