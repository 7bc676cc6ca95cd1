import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { encode } from '../dictionary/index.ts';
import { openCollection } from '../collection/index.ts';
import { buildSmallCollection } from '../testing/small-collection.ts';
import { liveParts } from '../testing/live-parts.ts';
import { buildSmallIndex, SMALL_D_SAE } from '../testing/small-index.ts';
import { LiveQueue } from './live-queue.ts';
import { type LiveParts, type RunningServer, serveExplorer } from './index.ts';

const TEXT = 'It was so cold that the whole crew went below.';

let folder: string;
let parts: LiveParts;
let server: RunningServer;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-live-'));
  await buildSmallIndex(join(folder, 'index'));
  await mkdir(join(folder, 'page'));
  await writeFile(join(folder, 'page/index.html'), '<!doctype html><title>page</title>');
  parts = await liveParts();
  server = await serveExplorer({ ...folders(), port: 0, live: parts });
});
after(async () => {
  await server.close();
  await parts.runner.close();
  await rm(folder, { recursive: true, force: true });
});

const folders = () => ({ index: join(folder, 'index'), page: join(folder, 'page') });

async function post(path: string, body: unknown, headers = { 'Content-Type': 'application/json' }) {
  const payload = typeof body === 'string' ? body : JSON.stringify(body);
  const response = await fetch(`${server.url}api/${path}`, { method: 'POST', headers, body: payload });
  // eslint-disable-next-line @typescript-eslint/no-explicit-any
  return { status: response.status, json: (await response.json().catch(() => undefined)) as any };
}

const steering = (changes: object = {}) => ({
  ...{ prompt: 'The captain', latent_index: 3, mode: 'scale', strengths: [1], unit: 1 },
  ...{ tokens: 6, temperature: 0, seed: 1, ...changes },
});

describe('members of a collection', () => {
  test('each has its own model, opened when it is asked for; few are kept, and none is closed while it works', async () => {
    await buildSmallCollection(join(folder, 'runs'));
    const collection = await openCollection([join(folder, 'runs')], parts.backend);
    const [opened, closed]: string[][] = [[], []];
    const openMember = async (name: string) => {
      if (!['coarse', 'small', 'fine'].includes(name)) return undefined;
      opened.push(name);
      const own = await liveParts();
      const close = own.runner.close.bind(own.runner);
      own.runner.close = async () => {
        closed.push(name);
        await close();
      };
      return own;
    };
    const several = await serveExplorer({ ...folders(), index: collection, port: 0, openMember });
    const ask = async (name: string) => {
      const response = await fetch(`${several.url}api/of/${name}/encode`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ text: TEXT }),
      });
      return { status: response.status, text: await response.text() };
    };
    assert.deepEqual(opened, []);
    const answers = await Promise.all(['coarse', 'small', 'fine', 'coarse'].map(ask));
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200, 200, 200],
    );
    assert.equal(answers[0].text, answers[3].text);
    assert.deepEqual(opened.toSorted(), ['coarse', 'fine', 'small']);
    assert.equal((await ask('none')).status, 404);
    assert.equal((await fetch(`${several.url}api/live`)).status, 404);
    for (let i = 0; i < 100 && closed.length < 1; i++)
      await new Promise((resolve) => setTimeout(resolve, 20));
    assert.ok(closed.length >= 1);
    await several.close();
    assert.deepEqual(closed.toSorted(), opened.toSorted());
  });
});

describe('live endpoints', () => {
  test('encode: the features of each token, and its loss', async () => {
    const { status, json } = await post('encode', { text: TEXT });
    assert.equal(status, 200);
    const { runner, dictionary, backend, tokenizer } = parts;
    const tokens = Uint32Array.from([tokenizer.separatorId!, ...tokenizer.encode(TEXT)]);
    assert.deepEqual(json.tokens, [...tokens]);
    const x = await runner.activations(tokens, tokens.length);
    const codes = await encode(dictionary, backend, x, tokens.length);
    json.features.forEach((list: { latent_index: number; activation: number }[], row: number) => {
      const [first, end] = [codes.rowPointers[row], codes.rowPointers[row + 1]];
      assert.equal(list.length, end - first);
      for (const { latent_index, activation } of list) {
        const pair = codes.latentIndices.indexOf(latent_index, first);
        assert.ok(pair < end && Math.abs(codes.values[pair] - activation) < 1e-5);
      }
      assert.ok(list.every(({ activation }, i) => i === 0 || activation <= list[i - 1].activation));
    });
    assert.equal(json.losses[0], null);
    assert.ok(json.losses.slice(1).every((loss: number) => loss > 0 && loss < 30));
  });

  test('encode: a long text in pieces of a context, and told what was left out', async () => {
    const { json } = await post('encode', { text: 'whale '.repeat(3000) });
    assert.equal(json.tokens.length, 1024);
    assert.ok(json.n_left_out > 1000);
    assert.equal(json.losses.filter((loss: number | null) => loss === null).length, 4);
  });

  test('ablate: what one latent did at one token; silent ones did nothing', async () => {
    const { json: encoded } = await post('encode', { text: TEXT });
    const firing = encoded.features[3][0].latent_index;
    const fires = new Set(encoded.features[3].map((f: { latent_index: number }) => f.latent_index));
    const silent = Array.from({ length: SMALL_D_SAE }, (_, i) => i).find((i) => !fires.has(i))!;
    const last = encoded.tokens.length - 1;
    const { json } = await post('ablate', {
      text: TEXT,
      at: [
        { token: 3, latent_index: firing },
        { token: 3, latent_index: silent },
        { token: last, latent_index: firing },
      ],
    });
    assert.ok(Math.abs(json.effects[0].loss_change) > 1e-6 && json.effects[0].kl > 0);
    assert.equal(json.effects[0].raised.length, 3);
    assert.ok(Math.abs(json.effects[1].kl) < 1e-9);
    assert.equal(json.effects[2].loss_change, null);
  });

  test('steer: as it is, and changed; the same chance for all; the same seed, the same text', async () => {
    const { json } = await post('steer', steering({ strengths: [1, 40], temperature: 1 }));
    const [asItIs, same, strong] = json.continuations;
    assert.equal(asItIs.strength, null);
    assert.deepEqual(asItIs.tokens, same.tokens);
    assert.deepEqual(asItIs.log_probs, asItIs.original_log_probs);
    assert.notDeepEqual(strong.log_probs, strong.original_log_probs);
    const { json: again } = await post('steer', steering({ strengths: [1, 40], temperature: 1 }));
    assert.deepEqual(again, json);
    const { json: other } = await post('steer', steering({ strengths: [1], temperature: 1, seed: 2 }));
    assert.notDeepEqual(other.continuations[0].tokens, asItIs.tokens);
  });

  test('they are described', async () => {
    const api = (await (await fetch(`${server.url}api/openapi.json`)).json()) as { paths: object };
    assert.deepEqual(Object.keys(api.paths), ['/api/live', '/api/encode', '/api/ablate', '/api/steer']);
    const live = (await (await fetch(`${server.url}api/live`)).json()) as Record<string, unknown>;
    assert.equal(live['model_name'], 'one-layer-a');
  });

  test('what is wrong is said, and harms nothing', async () => {
    const status = async (path: string, body: unknown, headers?: { 'Content-Type': string }) =>
      (await post(path, body, headers)).status;
    assert.equal(await status('encode', { text: 'a'.repeat(20_001) }), 413);
    assert.equal(await status('encode', { text: '' }), 400);
    assert.equal(await status('encode', { text: 5 }), 400);
    assert.equal(await status('encode', '{"text": '), 400);
    assert.equal(await status('encode', '[]'), 400);
    assert.equal(await status('encode', { text: 'a' }, { 'Content-Type': 'text/plain' }), 415);
    assert.equal(await status('ablate', { text: 'a', at: [{ token: 0, latent_index: SMALL_D_SAE }] }), 400);
    assert.equal(await status('ablate', { text: 'a', at: [{ token: 99, latent_index: 0 }] }), 400);
    assert.equal(await status('ablate', { text: 'a', at: Array(5000).fill({}) }), 400);
    assert.equal(await status('steer', steering({ mode: 'explode' })), 400);
    assert.equal(await status('steer', steering({ tokens: 1e9 })), 400);
    assert.equal(await status('steer', steering({ strengths: Array(9).fill(1) })), 400);
    assert.equal(await status('steer', steering({ strengths: ['1'] })), 400);
    assert.equal(await status('steer', steering({ prompt: 'whale '.repeat(400) })), 400);
    assert.equal(await status('nothing', {}), 404);
    const { json } = await post('steer', steering({ latent_index: 999 }));
    assert.match(json.error.message, /no latent 999.*0 to 23/);
    assert.equal(await status('encode', { text: TEXT }), 200);
  });

  test('who asks for lines is told how far the work is, and then the answer', async () => {
    const told = async (path: string, body: object) => {
      const headers = { 'Content-Type': 'application/json', Accept: 'application/x-ndjson' };
      const payload = JSON.stringify(body);
      const response = await fetch(`${server.url}api/${path}`, { method: 'POST', headers, body: payload });
      assert.equal(response.headers.get('content-type'), 'application/x-ndjson');
      const lines = (await response.text()).trimEnd().split('\n');
      return lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    };
    const lines = await told('steer', steering({ tokens: 3 }));
    assert.deepEqual(lines.slice(0, -1), [{ waiting: 0 }, ...[1, 2, 3].map((done) => ({ done, total: 3 }))]);
    assert.deepEqual(lines.at(-1), { answer: (await post('steer', steering({ tokens: 3 }))).json });
    const at = [3, 1].map((token) => ({ token, latent_index: 3 }));
    assert.ok(
      (await told('ablate', { text: TEXT, at })).some(({ done, total }) => done === 2 && total === 2),
    );
    const failed = await told('steer', steering({ latent_index: 999 }));
    assert.match(JSON.stringify(failed.at(-1)), /^\{"error":\{"code":"ERR_OPTION"/);
  });

  test('a body of megabytes is not read', async () => {
    // The connection may end before all of it was sent.
    const status = await post('encode', { text: 'a'.repeat(2_000_000) }).then(
      (answer) => answer.status,
      () => 413,
    );
    assert.equal(status, 413);
    const { port } = new URL(server.url);
    assert.equal((await fetch(`http://localhost:${port}/`)).status, 200);
  });
});

test('requests wait for each other, and more than can wait are turned away', async () => {
  const queue = new LiveQueue();
  const { signal } = new AbortController();
  const order: number[] = [];
  let release = () => {};
  const held = new Promise<void>((resolve) => (release = resolve));
  const waiting = Array.from({ length: 8 }, (_, i) =>
    queue.run(signal, async () => {
      if (i === 0) await held;
      order.push(i);
      if (i === 3) throw new Error('this one fails alone');
    }),
  );
  const failed = assert.rejects(waiting[3], /fails alone/);
  assert.equal(queue.length, 8);
  assert.throws(() => queue.run(signal, async () => {}), { code: 'ERR_LIMIT' });
  release();
  await Promise.allSettled(waiting);
  await failed;
  assert.deepEqual(order, [0, 1, 2, 3, 4, 5, 6, 7]);
  assert.equal(await queue.run(signal, async () => 'again'), 'again');
});

test('those who wait are told how many are before them; who has left is not worked for', async () => {
  const queue = new LiveQueue();
  const left = new AbortController();
  const told: unknown[][] = [[], [], []];
  const { signal } = new AbortController();
  const run = (i: number, of: AbortSignal, work: () => void) =>
    queue.run(
      of,
      async ({ onProgress }) => {
        work();
        onProgress(1, 2);
      },
      (progress) => told[i].push(progress),
    );
  let worked = false;
  const first = run(0, signal, () => left.abort());
  const gone = assert.rejects(
    run(1, left.signal, () => (worked = true)),
    { code: 'ERR_INTERRUPTED' },
  );
  await Promise.all([first, gone, run(2, signal, () => {})]);
  assert.equal(worked, false);
  assert.deepEqual(told[0], [{ waiting: 0 }, { done: 1, total: 2 }]);
  assert.deepEqual(told[2], [{ waiting: 2 }, { waiting: 1 }, { waiting: 0 }, { done: 1, total: 2 }]);
});

test('a server that others can reach asks for its token', async () => {
  const open = await serveExplorer({ ...folders(), port: 0, host: '0.0.0.0' });
  try {
    assert.ok(open.isOpen && !server.isOpen);
    const url = new URL(open.url);
    const base = `http://127.0.0.1:${url.port}/`;
    const token = url.searchParams.get('token')!;
    assert.ok(token.length >= 20);
    assert.equal((await fetch(base)).status, 401);
    assert.equal((await fetch(`${base}index/manifest.json`)).status, 401);
    assert.equal((await fetch(`${base}?token=wrong`)).status, 401);
    assert.equal((await fetch(base, { headers: { Authorization: `Bearer ${token}` } })).status, 200);
    const entered = await fetch(`${base}?token=${token}`);
    assert.equal(entered.status, 200);
    const cookie = entered.headers.get('set-cookie')!;
    assert.match(cookie, /HttpOnly.*SameSite=Strict/);
    const kept = await fetch(`${base}index/manifest.json`, { headers: { Cookie: cookie.split(';')[0] } });
    assert.equal(kept.status, 200);
  } finally {
    await open.close();
  }
});
