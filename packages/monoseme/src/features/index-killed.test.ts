import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildSmallIndex, smallSource, smallText } from '../testing/small-index.ts';

const SCRIPT = fileURLToPath(new URL('../testing/index-process.js', import.meta.url));
const root = await mkdtemp(join(tmpdir(), 'monoseme-index-killed-'));
after(() => rm(root, { recursive: true }));
const tokenSet = smallText(60, 64);

/** The small index; the chunks of text that were read for it. */
async function build(out: string, changes: Parameters<typeof buildSmallIndex>[1] = {}): Promise<number[]> {
  const source = smallSource(tokenSet, 4);
  const read: number[] = [];
  const readChunk = (chunk: number) => {
    read.push(chunk);
    return source.readChunk(chunk);
  };
  await buildSmallIndex(out, { tokenSet, source: { ...source, readChunk }, ...changes });
  return read;
}

async function bytesOf(folder: string): Promise<Map<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name));
  const contents = files.sort().map(async (file) => [file.slice(folder.length), await hex(file)] as const);
  return new Map(await Promise.all(contents));
}
const hex = async (path: string) => (await readFile(path)).toString('hex');

test('an index whose build was killed goes on to the same bytes', async () => {
  const whole = join(root, 'whole');
  assert.equal((await build(whole))[0], 0);
  const out = join(root, 'killed');
  for (const standstill of [5, 11]) {
    const child = spawn(process.execPath, [SCRIPT, out, String(standstill)], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    // Chunks are read two ahead: when this one is asked for the last two before it are not in a checkpoint yet.
    await once(child.stdout, 'data');
    child.kill('SIGKILL');
    await once(child, 'exit');
    assert.deepEqual(await readdir(out).catch(() => []), ['unfinished']);
  }
  const read = await build(out);
  assert.ok(read[0] >= 7 && read[0] <= 11, `it went on with chunk ${read[0]}`);
  assert.deepEqual(await bytesOf(out), await bytesOf(whole));
});

test('an interrupted build keeps all it has done, and other options start anew', async () => {
  const out = join(root, 'interrupted');
  const stop = new AbortController();
  const onProgress = (done: number) => {
    if (done >= 20 * 64) stop.abort();
  };
  await assert.rejects(build(out, { signal: stop.signal, onProgress }), { code: 'ERR_INTERRUPTED' });
  assert.equal((await build(out, { seed: 2 }))[0], 0);
  await assert.rejects(build(out, { signal: AbortSignal.abort() }), { code: 'ERR_INTERRUPTED' });
  await build(out);
  assert.deepEqual(await bytesOf(out), await bytesOf(join(root, 'whole')));
});
