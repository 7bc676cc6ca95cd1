/** State dicts of PyTorch (`fixtures/make-torch.py`) are read to their numbers, and nothing of them is run. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { MonosemeError } from '../errors.ts';
import { fixture } from '../testing/fixtures.ts';
import { openArrays, readSafetensors, readTorch } from './index.ts';

const VIEWS = fixture('torch', 'views.pt');
const refused = (await readdir(fixture('torch'))).filter((name) => !name.startsWith('views'));

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-torch-'));
});
after(async () => {
  await rm(folder, { recursive: true });
});

describe('what is read', () => {
  test('views of any stride and every floating-point type, as PyTorch itself lays them out', async () => {
    const [file, expected] = [
      await openArrays(VIEWS),
      await readSafetensors(fixture('torch', 'views.safetensors')),
    ];
    for (const name of expected.names()) {
      const { shape } = expected.info(name);
      assert.deepEqual(await file.shape(name), shape, name);
      assert.deepEqual(await file.floats(name, shape), await expected.floats(name), name);
    }
    await file.close();
    await expected.close();
  });

  test('numbers of one element, and what stands beside the tensors', async () => {
    const file = await readTorch(VIEWS);
    assert.deepEqual(
      await Promise.all(['int', 'long', 'bool', 'scalar'].map((name) => file.scalar(name))),
      [3, -4, 1, -1.5],
    );
    await assert.rejects(file.scalar('whole'), { code: 'ERR_FORMAT', message: /"whole".*\[3,4,5\]/ });
    assert.equal(file.value('activation'), 'TopK');
    for (const [name, value] of Object.entries({ k: 32, large: 2 ** 40, negative: -5, float: 1.5 }))
      assert.equal(file.value('state', name), value);
    for (const path of [['state'], ['state', 'none'], ['activation', 'x'], ['whole'], ['missing', 'x']])
      assert.equal(file.value(...path), undefined, path.join());
    assert.ok(!file.has('activation') && !file.names().includes('state'));
    await assert.rejects(file.floats('state'), { code: 'ERR_FORMAT' });
    await assert.rejects(file.floats('int'), { code: 'ERR_FORMAT', message: /I32/ });
    await assert.rejects(file.floats('whole', [3, 20]), {
      code: 'ERR_FORMAT',
      message: /\[3,4,5\], expected \[3,20\]/,
    });
    await file.close();
  });
});

describe('what is refused', () => {
  for (const name of refused)
    test(name, async () => {
      const reason = name.replace(/^\w+?-/, '').replace(/\.pt$/, '');
      await assert.rejects(openArrays(fixture('torch', name)), (error: MonosemeError) => {
        assert.equal(error.code, 'ERR_FORMAT');
        assert.ok(error.message.includes(name.startsWith('protocol') ? 'protocol 4' : reason), error.message);
        return true;
      });
      assert.ok(!existsSync('monoseme-was-here'));
    });

  /** The pickle of views.pt with the first run of some bytes after a name replaced by others, as many. */
  async function changed(name: string, from: number[], to: number[]): Promise<string> {
    const bytes = await readFile(VIEWS);
    const at = bytes.indexOf(Buffer.from(from), bytes.indexOf(`${name}q`));
    assert.ok(at > 0 && at < bytes.indexOf('data/0PK') + bytes.length);
    bytes.set(to, at);
    const path = join(folder, 'changed.pt');
    await writeFile(path, bytes);
    return path;
  }

  const K = 0x4b; // BININT1
  for (const [what, name, from, to, says] of [
    [
      'a shape larger than its storage',
      'transposed',
      [K, 5, K, 4],
      [K, 255, K, 255],
      /"transposed".*\[255,255\].*60 elem/,
    ],
    [
      'strides out of the storage',
      'transposed',
      [K, 1, K, 5],
      [K, 13, K, 5],
      /"transposed" reaches element 67 of a sto/,
    ],
    ['an offset out of the storage', 'sliced', [K, 25], [K, 250], /"sliced" reaches element/],
    [
      'a stride of 0 that repeats a small storage',
      'double',
      [K, 5, K, 4],
      [K, 5, K, 200],
      /"double".*\[5,200\]/,
    ],
    [
      'a storage that is not in the archive',
      'whole',
      [0x30],
      [0x39],
      /"whole".*has none|"whole" needs a storage/,
    ],
  ] as const)
    test(`${what}, with the tensor's name`, async () => {
      const before = process.memoryUsage().arrayBuffers;
      await assert.rejects(readTorch(await changed(name, [...from], [...to])), {
        code: 'ERR_FORMAT',
        message: says,
      });
      assert.ok(process.memoryUsage().arrayBuffers - before < 2 ** 20);
    });

  test('another byte order', async () => {
    const bytes = await readFile(VIEWS);
    bytes.write('bigger', bytes.indexOf('little'));
    await writeFile(join(folder, 'big.pt'), bytes);
    await assert.rejects(readTorch(join(folder, 'big.pt')), {
      code: 'ERR_FORMAT',
      message: /byte order is "bigger"/,
    });
  });

  test('no byte, changed or cut off, does more than a typed error', async () => {
    const bytes = await readFile(VIEWS);
    const path = join(folder, 'fuzzed.pt');
    for (let i = 0; i < bytes.length; i += 3) {
      const copy = i % 2 === 0 ? Buffer.from(bytes) : bytes.subarray(0, i);
      if (i % 2 === 0) copy[i] ^= 0xff;
      await writeFile(path, copy);
      try {
        const file = await openArrays(path);
        for (const name of file.names()) await file.shape(name);
        await file.close();
      } catch (error) {
        assert.match((error as MonosemeError).code, /^ERR_(FORMAT|LIMIT)$/, `byte ${i}: ${String(error)}`);
      }
    }
  });
});
