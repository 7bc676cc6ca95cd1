import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import type { MonosemeError } from '../errors.ts';
import { buildSmallIndex } from '../testing/small-index.ts';
import { byteRange } from './byte-range.ts';
import { type RunningServer, serveExplorer } from './index.ts';

let folder: string;
let server: RunningServer;
let port: number;
const SECRET = 'not for you';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-server-'));
  await buildSmallIndex(join(folder, 'index'));
  await mkdir(join(folder, 'page/assets'), { recursive: true });
  await writeFile(join(folder, 'page/index.html'), '<!doctype html><title>page</title>');
  await writeFile(
    join(folder, 'page/assets/index-abc.js'),
    `console.log(${JSON.stringify('x'.repeat(5000))})`,
  );
  await writeFile(join(folder, 'page/.hidden.json'), SECRET);
  await writeFile(join(folder, 'secret.json'), SECRET);
  await symlink(join(folder, 'secret.json'), join(folder, 'page/link.json'));
  await symlink(folder, join(folder, 'index/out'));
  await writeFile(join(folder, 'page/large.bin'), Buffer.alloc(3_000_000, 'ab'));
  server = await serveExplorer({ index: join(folder, 'index'), page: join(folder, 'page'), port: 0 });
  port = Number(new URL(server.url).port);
});
after(async () => {
  await server.close();
  await rm(folder, { recursive: true, force: true });
});

/** Send bytes as they are, which no client library would, and read the answer to its end. */
function raw(request: string | Buffer): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () => socket.write(request));
    let answer = '';
    socket.setEncoding('latin1');
    socket.on('data', (data) => (answer += data));
    socket.on('end', () => resolve(answer));
    socket.on('close', () => resolve(answer));
    socket.on('error', reject);
    socket.setTimeout(5000, () => socket.destroy(new Error('no answer')));
  });
}

const rawGet = (target: string, host = `127.0.0.1:${port}`) =>
  raw(`GET ${target} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n\r\n`);
const statusOf = (answer: string) => Number(/^HTTP\/1\.1 (\d{3})/.exec(answer)?.[1]);
const get = (path: string, headers: Record<string, string> = {}) => fetch(server.url + path, { headers });

describe('files', () => {
  test('the page, the index, and nothing else', async () => {
    assert.equal(await (await get('')).text(), '<!doctype html><title>page</title>');
    const manifest = await get('index/manifest.json');
    assert.equal(manifest.headers.get('content-type'), 'application/json');
    assert.equal(((await manifest.json()) as { kind: string }).kind, 'feature-index');
    for (const path of [
      'nothing',
      'index',
      'index/',
      'index/nothing.json',
      'assets',
      'index/details',
      'README',
    ])
      assert.equal((await get(path)).status, 404, path);
  });

  test('a client that does not read is not waited for', async () => {
    const huge = join(folder, 'page/huge.bin');
    await writeFile(huge, '');
    // More than the buffers of a connection hold.
    const nBytes = 64 << 20;
    await truncate(huge, nBytes);
    const options = { index: join(folder, 'index'), page: join(folder, 'page'), port: 0, stalledMs: 200 };
    const impatient = await serveExplorer(options);
    try {
      const { host, port } = new URL(impatient.url);
      const socket = connect(Number(port), '127.0.0.1');
      socket.write(`GET /huge.bin HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
      socket.pause();
      await new Promise((resolve) => setTimeout(resolve, 1000));
      const read = await new Promise<number>((resolve) => {
        let sum = 0;
        socket.on('data', (data) => (sum += data.length));
        socket.on('error', () => {});
        socket.on('close', () => resolve(sum));
        socket.resume();
      });
      assert.ok(read < nBytes, `${read} bytes were sent`);
    } finally {
      await impatient.close();
    }
  });

  test('ranges', async () => {
    const bytes = await readFile(join(folder, 'index/features.parquet'));
    const part = await get('index/features.parquet', { Range: 'bytes=10-29' });
    assert.equal(part.status, 206);
    assert.equal(part.headers.get('content-range'), `bytes 10-29/${bytes.length}`);
    assert.deepEqual(Buffer.from(await part.arrayBuffer()), bytes.subarray(10, 30));
    const tail = await get('index/features.parquet', { Range: 'bytes=-8' });
    assert.deepEqual(Buffer.from(await tail.arrayBuffer()), bytes.subarray(-8));
    const beyond = await get('index/features.parquet', { Range: `bytes=${bytes.length}-` });
    assert.equal(beyond.status, 416);
    assert.equal(beyond.headers.get('content-range'), `bytes */${bytes.length}`);
    const several = await get('index/features.parquet', { Range: 'bytes=0-1,4-5' });
    assert.equal(several.status, 200);
    const stale = await get('index/features.parquet', { Range: 'bytes=0-1', 'If-Range': '"old"' });
    assert.equal(stale.status, 200);
    const large = await get('large.bin', { Range: 'bytes=1-2500000' });
    const body = Buffer.from(await large.arrayBuffer());
    assert.equal(body.length, 2_500_000);
    assert.equal(body.subarray(0, 3).toString(), 'bab');
  });

  test('caching and compression', async () => {
    const script = await raw(
      `GET /assets/index-abc.js HTTP/1.1\r\nHost: localhost:${port}\r\nAccept-Encoding: gzip\r\nConnection: close\r\n\r\n`,
    );
    assert.match(script, /content-encoding: gzip/i);
    assert.match(script, /cache-control: public, max-age=31536000, immutable/i);
    const body = Buffer.from(script.slice(script.indexOf('\r\n\r\n') + 4), 'latin1');
    assert.ok(gunzipSync(body).toString().startsWith('console.log('));

    const first = await get('index/manifest.json', { 'Accept-Encoding': 'identity' });
    assert.equal(first.headers.get('cache-control'), 'no-cache');
    const etag = first.headers.get('etag')!;
    assert.equal(
      (await get('index/manifest.json', { 'If-None-Match': etag, 'Accept-Encoding': 'identity' })).status,
      304,
    );
    const table = await get('index/features.parquet', { 'Accept-Encoding': 'gzip' });
    assert.equal(table.headers.get('content-encoding'), null);
    assert.equal(table.headers.get('accept-ranges'), 'bytes');
  });

  test('HEAD has the headers and no body', async () => {
    const answer = await raw(
      `HEAD /large.bin HTTP/1.1\r\nHost: localhost:${port}\r\nConnection: close\r\n\r\n`,
    );
    assert.equal(statusOf(answer), 200);
    assert.match(answer, /content-length: 3000000/i);
    assert.ok(answer.endsWith('\r\n\r\n'));
  });

  test('a client that goes away in the middle does no harm', async () => {
    const socket = connect(port, '127.0.0.1');
    socket.write(`GET /large.bin HTTP/1.1\r\nHost: localhost:${port}\r\n\r\n`);
    await new Promise((resolve) => socket.once('data', resolve));
    socket.destroy();
    assert.equal((await get('')).status, 200);
  });
});

describe('what must not work', () => {
  const targets = [
    '/../secret.json',
    '/index/../../secret.json',
    '/%2e%2e/secret.json',
    '/index/%2e%2e%2f%2e%2e%2fsecret.json',
    '/index/..%2f..%2fsecret.json',
    '/..%5csecret.json',
    '/..\\secret.json',
    '/index/..\\..\\secret.json',
    '/%252e%252e/secret.json',
    '/index/%c0%ae%c0%ae/secret.json',
    '/index.html%00.json',
    '/%00',
    '/%',
    '/%zz',
    '//etc/passwd',
    '/./secret.json',
    '/.hidden.json',
    '/index/./manifest.json',
    `/${'a'.repeat(2000)}`,
    `/index/${'a/'.repeat(300)}`,
    '/link.json',
    '/index/out/secret.json',
    'http://127.0.0.1/../secret.json',
  ];
  for (const target of targets) {
    test(`GET ${target.slice(0, 50)}`, async () => {
      const answer = await rawGet(target);
      assert.ok([400, 404].includes(statusOf(answer)), answer.slice(0, 60));
      assert.ok(!answer.includes(SECRET));
      assert.ok(!answer.includes(folder));
    });
  }

  test('other methods', async () => {
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'OPTIONS', 'TRACE', 'PROPFIND']) {
      const answer = await raw(
        `${method} / HTTP/1.1\r\nHost: localhost:${port}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n`,
      );
      assert.ok([400, 405].includes(statusOf(answer)), `${method}: ${answer.slice(0, 40)}`);
    }
  });

  test('another host name (DNS rebinding)', async () => {
    for (const host of [
      'evil.example',
      `evil.example:${port}`,
      'localhost.evil.example',
      '127.0.0.1.evil.example',
      '',
    ])
      assert.ok([400, 403].includes(statusOf(await rawGet('/', host))), host);
    assert.ok([400, 403].includes(statusOf(await raw('GET / HTTP/1.0\r\n\r\n'))));
    for (const host of [`localhost:${port}`, `127.0.0.1:${port}`, `LOCALHOST:${port}`])
      assert.equal(statusOf(await rawGet('/', host)), 200, host);
  });

  test('headers that are too long, and noise', async () => {
    const long = await raw(`GET / HTTP/1.1\r\nHost: localhost\r\nX: ${'x'.repeat(20_000)}\r\n\r\n`);
    assert.equal(statusOf(long), 431);
    assert.equal(statusOf(await raw(Buffer.from('\u0000\u0001\u0002 nonsense\r\n\r\n'))), 400);
    assert.equal((await get('')).status, 200);
  });
});

test('every answer carries the security headers', async () => {
  for (const path of ['', 'index/manifest.json', 'nothing', '%2e%2e']) {
    const { headers } = await get(path);
    assert.match(
      headers.get('content-security-policy')!,
      /default-src 'none'; script-src 'self'; style-src 'self'/,
    );
    assert.doesNotMatch(headers.get('content-security-policy')!, /unsafe|https?:|\*/);
    assert.equal(headers.get('x-content-type-options'), 'nosniff');
    assert.equal(headers.get('access-control-allow-origin'), null);
  }
});

test('what cannot be served is said before anything is served', async () => {
  const codeOf = (options: Partial<Parameters<typeof serveExplorer>[0]>) =>
    serveExplorer({ index: join(folder, 'index'), page: join(folder, 'page'), port: 0, ...options }).then(
      async (running) => running.close(),
      (error: MonosemeError) => error.code,
    );
  assert.equal(await codeOf({ port }), 'ERR_OPTION');
  assert.equal(await codeOf({ host: '203.0.113.1' }), 'ERR_OPTION');
  assert.equal(await codeOf({ index: join(folder, 'none') }), 'ERR_NOT_FOUND');
  assert.equal(await codeOf({ page: folder }), 'ERR_NOT_FOUND');
  assert.equal(await codeOf({}), undefined);
});

test('byte ranges', () => {
  assert.deepEqual(byteRange('bytes=0-0', 10), { start: 0, end: 1 });
  assert.deepEqual(byteRange('bytes=2-', 10), { start: 2, end: 10 });
  assert.deepEqual(byteRange('bytes=2-99', 10), { start: 2, end: 10 });
  assert.deepEqual(byteRange('bytes=-3', 10), { start: 7, end: 10 });
  assert.deepEqual(byteRange('bytes=-99', 10), { start: 0, end: 10 });
  assert.equal(byteRange('bytes=10-', 10), 'unsatisfiable');
  assert.equal(byteRange('bytes=-0', 10), 'unsatisfiable');
  assert.equal(byteRange('bytes=0-', 0), 'unsatisfiable');
  for (const header of [
    undefined,
    '',
    'bytes=-',
    'bytes=5-2',
    'bytes=a-b',
    'lines=1-2',
    'bytes=1-2,3-4',
    'bytes=1',
  ])
    assert.equal(byteRange(header, 10), undefined);
});
