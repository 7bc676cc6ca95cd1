/** The live endpoints, described for other programs (OpenAPI 3.1). */
export function openApi(): object {
  const json = (schema: object) => ({ content: { 'application/json': { schema } } });
  const object = (properties: Record<string, object>) => ({
    type: 'object',
    properties,
    required: Object.keys(properties),
  });
  const array = (items: object) => ({ type: 'array', items });
  const number = { type: 'number' };
  const whole = { type: 'integer', minimum: 0 };
  const text = { type: 'string', maxLength: 20_000 };
  const tokens = array(whole);
  const problem = {
    description: 'What was wrong, in words',
    ...json(object({ error: object({ code: { type: 'string' }, message: { type: 'string' } }) })),
  };
  /** With `Accept: application/x-ndjson`: lines while the request waits and is worked on, the last one the answer. */
  const lines = (answer: object) => ({
    anyOf: [
      object({ waiting: whole }),
      object({ done: whole, total: whole }),
      object({ answer }),
      object({ error: object({ code: { type: 'string' }, message: { type: 'string' } }) }),
    ],
  });
  const answers = (description: string, schema: object) => ({
    200: {
      description,
      content: {
        'application/json': { schema },
        'application/x-ndjson': {
          schema: lines(schema),
          description: 'A line each: requests before this one, progress, at last the answer or an error',
        },
      },
    },
    ...Object.fromEntries([400, 413, 415, 429, 503].map((status) => [status, problem])),
  });
  const post = (summary: string, body: object, description: string, schema: object) => ({
    post: {
      summary,
      requestBody: { required: true, ...json(body) },
      responses: answers(description, schema),
    },
  });
  const effect = object({
    loss_change: { type: ['number', 'null'] },
    kl: number,
    raised_tokens: tokens,
    raised: array(number),
    lowered_tokens: tokens,
    lowered: array(number),
  });
  return {
    openapi: '3.1.0',
    info: { title: 'Monoseme, live endpoints', version: '1' },
    paths: {
      '/api/live': {
        get: {
          summary: 'The model, and the limits',
          responses: { 200: { description: 'They', ...json({ type: 'object' }) } },
        },
      },
      '/api/encode': post(
        'The features that fire on each token of a text',
        object({ text }),
        'Tokens, their losses in nats, and their features, the strongest first',
        object({
          tokens,
          losses: array({ type: ['number', 'null'] }),
          features: array(array(object({ latent_index: whole, activation: number }))),
          n_left_out: whole,
        }),
      ),
      '/api/ablate': post(
        'What taking features out changes, each at one token of a text',
        object({ text, at: array(object({ token: whole, latent_index: whole })) }),
        'One effect for each, in nats',
        object({ effects: array(effect) }),
      ),
      '/api/steer': post(
        'Continue a prompt with a feature changed at every token, and without',
        object({
          prompt: text,
          latent_index: whole,
          mode: { enum: ['add', 'scale', 'clamp'] },
          strengths: { type: 'array', items: number, maxItems: 8 },
          unit: number,
          tokens: { type: 'integer', minimum: 1, maximum: 128 },
          temperature: number,
          seed: whole,
        }),
        'One continuation as the model is, then one for each strength',
        object({
          prompt: tokens,
          continuations: array(
            object({
              strength: { type: ['number', 'null'] },
              tokens,
              log_probs: array(number),
              original_log_probs: array(number),
            }),
          ),
        }),
      ),
    },
  };
}
