import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { access, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { lockFolder } from '../formats/index.ts';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { Random } from '../random/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { ActivationStore } from './index.ts';

const KILLS = 50;
const root = await mkdtemp(join(tmpdir(), 'monoseme-killed-'));
const SCRIPT = fileURLToPath(new URL('../testing/harvest-process.js', import.meta.url));
const running = new Set<ChildProcess>();
after(async () => {
  for (const child of running) child.kill('SIGKILL');
  await rm(root, { recursive: true });
});

/** A process that harvests once it is told where. */
function harvester() {
  const child = spawn(process.execPath, [SCRIPT], { stdio: ['pipe', 'pipe', 'inherit'] });
  running.add(child);
  child.stdin.on('error', () => {}); // it was killed
  const ready = once(child.stdout, 'data');
  const ended = once(child, 'exit').then(([code]) => {
    running.delete(child);
    return code as number | null;
  });
  return { child, ready, ended };
}

async function bytesOf(folder: string): Promise<Map<string, Buffer>> {
  const names = (await readdir(folder)).sort();
  return new Map(
    await Promise.all(names.map(async (name) => [name, await readFile(join(folder, name))] as const)),
  );
}

test(`killed at ${KILLS} instants, a harvest goes on to the same bytes`, async () => {
  const whole = join(root, 'whole');
  const first = harvester();
  await first.ready;
  const started = performance.now();
  first.child.stdin.write(`${whole}\n`);
  assert.equal(await first.ended, 0);
  const most = performance.now() - started;
  const reference = await bytesOf(whole);
  const random = new Random(5);
  let folder = join(root, 'killed-0');
  let next = harvester();
  let inTheMidst = 0;
  for (let kill = 1; kill <= KILLS; kill++) {
    const { child, ready, ended } = next;
    next = harvester(); // starts beside this one
    await ready;
    child.stdin.write(`${folder}\n`);
    await wait(random.uniform() * Math.min(most, 120));
    child.kill('SIGKILL');
    const finished = (await ended) === 0;
    const found = await bytesOf(folder).catch(() => new Map<string, Buffer>());
    for (const [name, bytes] of found) {
      if (/\.(partial|lock)$/.test(name)) continue;
      assert.ok(reference.get(name)?.equals(bytes), `${name} is whole after kill ${kill}`);
    }
    if (!finished && found.size > 0) inTheMidst++;
    if (finished || found.has('manifest.json')) folder = join(root, `killed-${kill}`);
  }
  assert.ok(inTheMidst > KILLS / 3, `${inTheMidst} were in the midst of it`);
  await next.ready;
  next.child.stdin.write(`${folder}\n`);
  assert.equal(await next.ended, 0);
  assert.deepEqual(await bytesOf(folder), reference);
});

const noFullDevice = await access('/dev/full').then(
  () => false,
  () => 'this system has no /dev/full',
);

describe('what goes wrong outside', () => {
  const tokens = randomTokens(23, 12);
  const sizes = { contextsPerChunk: 2, rowsPerShard: 72 };
  let runner: ModelRunner;
  before(async () => {
    const model = await OnnxModel.open(fixture('models/one-layer'));
    runner = await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post', threads: 1 });
  });
  after(() => runner.close());
  const harvest = (folder: string) => ActivationStore.write(folder, runner, tokens, sizes);

  test('two processes on one store: the second is refused, and told which the first is', async () => {
    const folder = join(root, 'locked');
    const unlock = await lockFolder(folder);
    await assert.rejects(harvest(folder), {
      code: 'ERR_LOCKED',
      message: new RegExp(`Process ${process.pid} is writing`),
    });
    await unlock();
    await harvest(folder);
    assert.deepEqual(
      (await readdir(folder)).filter((name) => name.endsWith('.lock')),
      [],
    );
  });

  test('locks of dead processes are taken over; one of another machine counts', async () => {
    const folder = join(root, 'stale');
    await mkdir(folder);
    const lock = (pid: number) => join(folder, `process-${pid}-0123abcd.lock`);
    const dead = 2 ** 22 + 1; // above the numbers that Linux gives
    await writeFile(lock(dead), '');
    await writeFile(lock(1), JSON.stringify({ pid: 1, host: hostname(), started: 'another time' }));
    await harvest(folder);
    await writeFile(lock(dead), JSON.stringify({ pid: dead, host: 'elsewhere', started: '' }));
    await assert.rejects(harvest(folder), { code: 'ERR_LOCKED', message: /Process \d+ on elsewhere/ });
  });

  test(
    'a disk that becomes full: an error, and the harvest goes on later',
    { skip: noFullDevice },
    async () => {
      const folder = join(root, 'full');
      await mkdir(folder);
      await symlink('/dev/full', join(folder, 'shard-00002.safetensors.partial'));
      await assert.rejects(harvest(folder), { code: 'ERR_DISK_FULL', message: /shard-00002/ });
      const kept = (await readdir(folder)).sort();
      assert.deepEqual(kept, ['plan.json', 'shard-00000.safetensors', 'shard-00001.safetensors']);
      await harvest(folder);
      await harvest(join(root, 'not-full'));
      assert.deepEqual(await bytesOf(folder), await bytesOf(join(root, 'not-full')));
    },
  );
});
