import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { HUB_COMMIT, HubServer } from '../testing/hub-server.ts';
import { parseHubPath } from './hub-spec.ts';
import { type HubOptions, resolveHubPath } from './index.ts';

const LARGE = Buffer.alloc(200_000, 'monoseme');
const FILES = {
  'README.md': Buffer.from('# open\n'),
  'layer_1/width_16/params.npz': LARGE,
  'layer_1/width_16/cfg.json': Buffer.from('{}'),
  'layer_1/width_16/optimizer.pt': Buffer.alloc(5000),
  'layer_1/empty.txt': Buffer.alloc(0),
};

let server: HubServer;
let endpoint: string;
let folder: string;
beforeEach(async () => {
  server = new HubServer(FILES);
  endpoint = await server.start();
  folder = await mkdtemp(join(tmpdir(), 'monoseme-hub-'));
});
afterEach(async () => {
  await server.stop();
  await rm(folder, { recursive: true });
});

const resolve = (path: string, options: HubOptions = {}) =>
  resolveHubPath(path, { endpoint, cacheFolder: join(folder, 'hub'), token: '', offline: false, ...options });
const filesBelow = async (path: string) =>
  (await readdir(path, { recursive: true, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => relative(path, join(entry.parentPath, entry.name)))
    .sort();
const FILE = 'hf:lab/open/layer_1/width_16/params.npz';

describe('hf: paths', () => {
  test('repository, path and revision are told apart', () => {
    assert.deepEqual(parseHubPath('hf:lab/open/a b/c.npz@refs/pr/1'), {
      kind: 'models',
      repo: 'lab/open',
      path: 'a b/c.npz',
      revision: 'refs/pr/1',
    });
    const { kind, repo, path, revision } = parseHubPath('hf:datasets/lab/open/');
    assert.deepEqual([kind, repo, path, revision], ['datasets', 'lab/open', '', 'main']);
  });

  for (const bad of [
    '',
    'lab',
    'lab/..',
    '../lab',
    'lab/open/../x',
    'lab/open//x',
    'lab/open/a\\b',
    'lab/a--b',
  ].concat([
    'lab/open@',
    'lab/open@../x',
    'lab/open@a@b',
    '/etc/passwd',
    'lab/open/C:/x',
    'lab/open/./x',
    'lab/open/a\u0000b',
  ]))
    test(`hf:${JSON.stringify(bad)} is refused`, async () => {
      await assert.rejects(resolve(`hf:${bad}`), { code: 'ERR_OPTION' });
      assert.equal(server.requests.length, 0);
    });

  test('another path is given back as it is', async () => {
    assert.equal(await resolve('out/dictionary'), 'out/dictionary');
  });
});

describe('downloads', () => {
  test('a file', async () => {
    const seen: number[] = [];
    const path = await resolve(FILE, { onProgress: (done, total) => seen.push(done / total) });
    assert.deepEqual(await readFile(path), LARGE);
    assert.equal(seen.at(-1), 1);
    assert.ok(
      path.endsWith(join('models--lab--open', 'snapshots', HUB_COMMIT, 'layer_1/width_16/params.npz')),
    );
  });

  test('of a folder the files wanted, over several pages of the listing, and nothing else stays', async () => {
    const path = await resolve('hf:lab/open/layer_1', { wants: (name) => !name.endsWith('.pt') });
    assert.deepEqual(await filesBelow(path), ['empty.txt', 'width_16/cfg.json', 'width_16/params.npz']);
    assert.deepEqual(await filesBelow(join(folder, 'hub', 'models--lab--open', 'partial')), []);
    const shallow = await resolve('hf:datasets/lab/open', { recursive: false });
    assert.deepEqual(await filesBelow(shallow), ['README.md']);
  });

  test('what is there is not downloaded again, and a pinned file needs no connection', async () => {
    const path = await resolve(`${FILE}@${HUB_COMMIT}`);
    const before = server.requests.length;
    await resolve(FILE);
    assert.ok(server.requests.slice(before).every(({ path }) => path.startsWith('api/')));
    const count = server.requests.length;
    assert.equal(await resolve(`${FILE}@${HUB_COMMIT}`), path);
    assert.equal(server.requests.length, count);
  });

  test('a download that is cut off again and again goes on where it was', async () => {
    server.faults.cutAfter = 70_000;
    assert.deepEqual(await readFile(await resolve(FILE)), LARGE);
    const ranges = server.requests.filter(({ path }) => path.startsWith('cdn/')).map(({ range }) => range);
    assert.deepEqual(ranges, [undefined, 'bytes=70000-', 'bytes=140000-']);
  });

  test('a truncated file is an error, and a later run asks for the rest alone', async () => {
    server.faults.cutAfter = 0;
    await assert.rejects(resolve(FILE), { code: 'ERR_DOWNLOAD', message: /cut off after 0 of 200000 bytes/ });
    assert.deepEqual(await filesBelow(join(folder, 'hub', 'models--lab--open', 'snapshots')), []);

    const stop = new AbortController();
    server.faults.cutAfter = 50_000;
    const onProgress = (done: number) => done >= 50_000 && stop.abort();
    await assert.rejects(resolve(FILE, { signal: stop.signal, onProgress }), { code: 'ERR_INTERRUPTED' });
    delete server.faults.cutAfter;
    assert.deepEqual(await readFile(await resolve(FILE)), LARGE);
    assert.match(server.requests.at(-1)?.range ?? '', /^bytes=[1-9]/);
  });

  test('a server that ignores ranges is read from the start', async () => {
    const stop = new AbortController();
    server.faults.cutAfter = 50_000;
    const onProgress = () => stop.abort();
    await assert.rejects(resolve(FILE, { signal: stop.signal, onProgress }), { code: 'ERR_INTERRUPTED' });
    server.faults.ignoreRange = true;
    delete server.faults.cutAfter;
    assert.deepEqual(await readFile(await resolve(FILE)), LARGE);
  });

  test('bytes with another hash are refused and do not stay', async () => {
    server.faults.changeBytes = true;
    for (const path of [FILE, 'hf:lab/open/README.md'])
      await assert.rejects(resolve(path), { code: 'ERR_DOWNLOAD', message: /another hash/ });
    delete server.faults.changeBytes;
    assert.deepEqual(await readFile(await resolve(FILE)), LARGE);
  });

  test('what may pass is tried again; what does not is an error', async () => {
    server.faults.status = { code: 503, times: 2 };
    await resolve(FILE);
    server.faults.status = { code: 500, times: 100 };
    await assert.rejects(resolve('hf:lab/open/README.md'), { code: 'ERR_DOWNLOAD', message: /status 500/ });
  });
});

describe('refusals', () => {
  test('a repository, revision, path or wanted file that is missing', async () => {
    await assert.rejects(resolve('hf:lab/missing/x'), {
      code: 'ERR_NOT_FOUND',
      message: /has no lab\/missing: the repository does not exist, or it is/,
    });
    await assert.rejects(resolve(`${FILE}@v9`), {
      code: 'ERR_NOT_FOUND',
      message: /lab\/open@v9 \(RevisionNotFound/,
    });
    await assert.rejects(resolve('hf:lab/open/no/such'), { code: 'ERR_NOT_FOUND', message: /no "no\/such"/ });
    await assert.rejects(resolve('hf:lab/open', { wants: () => false }), {
      code: 'ERR_NOT_FOUND',
      message: /README/,
    });
  });

  test('a gated repository opens with its token alone', async () => {
    const gated = 'hf:lab/gated/README.md';
    await assert.rejects(resolve(gated), {
      code: 'ERR_GATED',
      message: /refuses lab\/gated: .*HF_TOKEN/,
    });
    await assert.rejects(resolve(gated, { token: 'hf_bad' }), { code: 'ERR_GATED', message: /this token/ });
    await resolve(gated, { token: 'hf_good' });
  });

  test('more than the limit, before anything is downloaded', async () => {
    await assert.rejects(resolve('hf:lab/open', { maxBytes: 1000 }), {
      code: 'ERR_LIMIT',
      message: /5 files/,
    });
    assert.ok(server.requests.every(({ path }) => path.startsWith('api/')));
  });

  test('offline: an error that says so, and the cache when asked for', async () => {
    await assert.rejects(resolve(FILE, { offline: true }), {
      code: 'ERR_OFFLINE',
      message: /not in the cache/,
    });
    const path = await resolve(FILE);
    await assert.rejects(resolve(FILE, { endpoint: 'http://127.0.0.1:1' }), {
      code: 'ERR_OFFLINE',
      message: /^The hub at http:\/\/127\.0\.0\.1:1 could not be reached for [\w-]+\/[\w-]+: /,
    });
    assert.equal(await resolve(FILE, { offline: true, endpoint: 'http://127.0.0.1:1' }), path);
  });

  for (const listedPath of ['../../../../outside', '/etc/outside', 'a/../../b', 'C:\\x', 'a\\..\\b', ''])
    test(`a listing with the path ${JSON.stringify(listedPath)} leads nowhere`, async () => {
      server.faults.listedPath = listedPath;
      await assert.rejects(resolve('hf:lab/open'), { code: 'ERR_FORMAT', message: /lists a file at/ });
      assert.deepEqual(await readdir(folder), []);
    });

  test('a listing that goes on at another server is refused: the token stays here', async () => {
    server.faults.nextPage = 'http://127.0.0.2:1/api/models/lab/gated/tree/main';
    await assert.rejects(resolve('hf:lab/gated', { token: 'hf_good' }), {
      code: 'ERR_FORMAT',
      message: /another server/,
    });
  });

  test('a link in the cache is followed inside the repository’s folder and nowhere else', async () => {
    const root = join(folder, 'hub', 'models--lab--open');
    const snapshot = join(root, 'snapshots', HUB_COMMIT);
    await mkdir(join(root, 'blobs'), { recursive: true });
    await mkdir(snapshot, { recursive: true });
    await writeFile(join(root, 'blobs/abc'), FILES['README.md']);
    await symlink('../../blobs/abc', join(snapshot, 'README.md'));
    await resolve(`hf:lab/open/README.md@${HUB_COMMIT}`);
    assert.equal(server.requests.length, 0);
    await mkdir(join(folder, 'elsewhere'));
    await symlink(join(folder, 'elsewhere'), join(snapshot, 'layer_1'));
    await assert.rejects(resolve('hf:lab/open/layer_1/empty.txt'), {
      code: 'ERR_FILE',
      message: /leads out/,
    });
    assert.deepEqual(await readdir(join(folder, 'elsewhere')), []);
  });
});
