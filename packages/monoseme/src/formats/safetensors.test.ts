import assert from 'node:assert/strict';
import { open, mkdtemp, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { readSafetensors, type TensorToWrite, writeSafetensors } from './index.ts';

const FIXTURES = fileURLToPath(new URL('../../../../fixtures', import.meta.url));
const folder = process.env.MONOSEME_KEEP ?? (await mkdtemp(join(tmpdir(), 'monoseme-safetensors-')));
after(async () => {
  if (process.env.MONOSEME_KEEP === undefined) await rm(folder, { recursive: true });
});

async function using<T>(
  path: string,
  use: (file: Awaited<ReturnType<typeof readSafetensors>>) => Promise<T>,
) {
  const file = await readSafetensors(path);
  try {
    return await use(file);
  } finally {
    await file.close();
  }
}

test('a file of the Python library reads as it was written', async () => {
  await using(join(FIXTURES, 'golden/all-dtypes.safetensors'), async (file) => {
    const values = [0, -0, 1.5, Math.fround(1e-7), 65504, -3.140625];
    assert.deepEqual([...(await file.floats('f32', [2, 3]))], values);
    assert.deepEqual([...(await file.floats('f64'))], values);
    assert.deepEqual([...(await file.floats('f16'))], [0, -0, 1.5, 2 ** -23, 65504, -3.140625]);
    assert.deepEqual([...(await file.floats('bf16'))], [0, -0, 1.5, 2 ** -24 * 1.6796875, 65536, -3.140625]);
    assert.deepEqual([...new Int32Array((await file.tensor('i32')).bytes.buffer)], [1, -2, 3]);
    assert.deepEqual([...new BigInt64Array((await file.tensor('i64')).bytes.buffer)], [2n ** 40n, -1n]);
    assert.deepEqual(file.info('scalar'), { dtype: 'F64', shape: [] });
    assert.deepEqual([...(await file.floats('scalar', []))], [2.5]);
    assert.deepEqual(file.info('empty').shape, [0, 4]);
    assert.equal((await file.floats('empty')).length, 0);
    assert.deepEqual({ ...file.metadata }, { 'made by': 'safetensors for Python', text: 'ünïcode' });
    assert.deepEqual([...(await file.floatRows('f32', 1, 2))], values.slice(3));
    assert.deepEqual([...(await file.floatRows('f16', 0, 1))], values.slice(0, 3));
    assert.equal((await file.floatRows('f32', 2, 2)).length, 0);
  });
});

test('questions that the file cannot answer are errors that say why', async () => {
  await using(join(FIXTURES, 'golden/all-dtypes.safetensors'), async (file) => {
    await assert.rejects(file.tensor('W_enc'), {
      code: 'ERR_FORMAT',
      message: /no tensor "W_enc" \(it has: /,
    });
    await assert.rejects(file.tensor('constructor'), { code: 'ERR_FORMAT' });
    await assert.rejects(file.floats('f32', [3, 2]), {
      code: 'ERR_FORMAT',
      message: /\[2,3\], expected \[3,2\]/,
    });
    await assert.rejects(file.floats('i32'), { code: 'ERR_FORMAT', message: /holds I32/ });
    for (const [from, to] of [
      [0, 3],
      [-1, 1],
      [1, 0],
      [0.5, 1],
    ])
      await assert.rejects(file.rows('f32', from, to), { code: 'ERR_OPTION' });
  });
  await assert.rejects(readSafetensors(join(folder, 'none')), { code: 'ERR_NOT_FOUND' });
});

const MALFORMED = await readdir(join(FIXTURES, 'malformed'));
const REASONS: Record<string, RegExp> = {
  short: /has only 3 bytes/,
  'header-longer-than-file': /should have 1000000 bytes/,
  'header-length-2-to-63': /should have 9223372036854775808 bytes/,
  'header-length-minus-one': /should have 18446744073709551615 bytes/,
  'header-not-json': /not valid JSON/,
  'header-not-an-object': /does not start with "\{"/,
  'header-not-utf8': /not UTF-8/,
  'header-cut-off': /not valid JSON/,
  'header-deep': /nested deeper/,
  'key-twice': /"a" is there twice/,
  'key-twice-escaped': /"a" is there twice/,
  'dtype-unknown': /unknown dtype "F31"/,
  'dtype-of-prototype': /unknown dtype/,
  'shape-negative': /shape of tensor "a"/,
  'shape-fraction': /shape of tensor "a"/,
  'shape-text': /shape of tensor "a"/,
  'shape-too-small': /needs 4 bytes, but its offsets hold 8/,
  'shape-overflows': /needs Infinity bytes/,
  'shape-overflows-to-small': /needs Infinity bytes/,
  'shape-huge-rank': /at most 64/,
  'offsets-missing': /data_offsets/,
  'offsets-backwards': /data_offsets/,
  'offsets-behind-end': /tensor "a" reaches to byte 8, but 4 follow/,
  'offsets-huge': /data_offsets/,
  overlap: /"b" overlaps/,
  'same-place': /overlaps/,
  hole: /"b" leaves a hole/,
  'hole-at-start': /leaves a hole/,
  'data-left-over': /take 4 bytes, but 5 follow/,
  'data-cut-off': /tensor "a" reaches to byte 8, but 7 follow/,
  'entry-not-an-object': /no description/,
  'metadata-not-strings': /__metadata__/,
};

test('every malformed file has its reason here', () => {
  const names = MALFORMED.map((name) => name.replace('.safetensors', ''));
  assert.deepEqual(names.sort(), Object.keys(REASONS).sort());
});

for (const [name, reason] of Object.entries(REASONS)) {
  test(`malformed: ${name}`, async () => {
    await assert.rejects(readSafetensors(join(FIXTURES, 'malformed', `${name}.safetensors`)), {
      code: 'ERR_FORMAT',
      message: reason,
    });
  });
}

test('a header beyond the limit is refused before it is read', async () => {
  const path = join(folder, 'long-header');
  const file = await open(path, 'w');
  const length = new Uint8Array(8);
  new DataView(length.buffer).setBigUint64(0, BigInt(40 * 2 ** 20), true);
  await file.write(length);
  await file.close();
  await truncate(path, 50 * 2 ** 20);
  await assert.rejects(readSafetensors(path), { code: 'ERR_LIMIT', message: /header/ });
});

test('any prefix of a good file is refused', async () => {
  const whole = await readFile(join(FIXTURES, 'golden/all-dtypes.safetensors'));
  const path = join(folder, 'cut');
  for (let length = 0; length < whole.length; length += 7) {
    await writeFile(path, whole.subarray(0, length));
    await assert.rejects(readSafetensors(path), { code: 'ERR_FORMAT' }, `${length} bytes`);
  }
});

test('a file that shrinks after it was opened is an error, not zeros', async () => {
  const path = join(folder, 'shrinks');
  await writeSafetensors(path, { a: { dtype: 'F32', shape: [100], data: new Float32Array(100) } });
  await using(path, async (file) => {
    await truncate(path, 200);
    await assert.rejects(file.floats('a'), { code: 'ERR_FORMAT', message: /ends inside/ });
  });
});

test('what is written comes back, with the layout that the docs promise', async () => {
  const path = join(folder, 'written.safetensors');
  const values = Float32Array.of(1, -2.5, 1 + 2 ** -11, 3.1);
  await writeSafetensors(
    path,
    {
      b16: { dtype: 'BF16', shape: [4], data: values },
      '10': { dtype: 'F32', shape: [2, 2], data: values },
      half: { dtype: 'F16', shape: [4, 1], data: [values.subarray(0, 1), values.subarray(1)] },
      __proto__x: { dtype: 'I32', shape: [2], data: Int32Array.of(7, -7) },
      scalar: { dtype: 'F64', shape: [], data: Float64Array.of(0.1) },
      '2': { dtype: 'F32', shape: [0], data: new Float32Array() },
    },
    { z: 'last', a: 'first "quoted"' },
  );
  await using(path, async (file) => {
    assert.deepEqual(file.names(), ['scalar', '10', '2', '__proto__x', 'b16', 'half']);
    assert.deepEqual([...(await file.floats('10', [2, 2]))], [...values]);
    assert.deepEqual([...(await file.floats('half'))], [1, -2.5, 1, 3.099609375]);
    assert.deepEqual([...(await file.floats('b16'))], [1, -2.5, 1, 3.09375]);
    assert.deepEqual([...new Int32Array((await file.tensor('__proto__x')).bytes.buffer)], [7, -7]);
    assert.deepEqual({ ...file.metadata }, { a: 'first "quoted"', z: 'last' });
  });
  const bytes = await readFile(path);
  assert.equal(Number(bytes.readBigUInt64LE(0)) % 8, 0);
});

test('writing does not depend on the order of the tensors or on pieces, and converts in steps', async () => {
  const values = Float32Array.from({ length: 600_000 }, (_, i) => Math.sin(i));
  const one: TensorToWrite = { dtype: 'F16', shape: [600_000], data: values };
  async function* pieces() {
    for (let i = 0; i < values.length; i += 70_001) yield values.subarray(i, i + 70_001);
  }
  const b: TensorToWrite = { dtype: 'F32', shape: [1], data: Float32Array.of(1) };
  await writeSafetensors(join(folder, 'p'), { one, b });
  await writeSafetensors(join(folder, 'q'), { b, one: { ...one, data: pieces() } });
  assert.ok((await readFile(join(folder, 'p'))).equals(await readFile(join(folder, 'q'))));
});

test('data that do not fill their shape leave no file behind', async () => {
  const path = join(folder, 'wrong', 'x');
  for (const length of [3, 5]) {
    const data = new Float32Array(length);
    await assert.rejects(writeSafetensors(path, { a: { dtype: 'F32', shape: [2, 2], data } }), {
      code: 'ERR_SHAPE',
      message: new RegExp(`${length * 4} bytes`),
    });
  }
  assert.deepEqual(await readdir(join(folder, 'wrong')), []);
});

test('property: any tensors come back bit for bit', async () => {
  const path = join(folder, 'any');
  const tensor = fc
    .array(fc.nat(4), { maxLength: 4 })
    .map((shape) => ({ shape, data: new Float32Array(shape.reduce((n, size) => n * size, 1)) }))
    .chain(({ shape, data }) =>
      fc.infiniteStream(fc.float()).map((stream) => ({ shape, data: data.map(() => stream.next().value!) })),
    );
  const names = fc.string({ maxLength: 8, unit: 'binary' }).filter((name) => name !== '__metadata__');
  await fc.assert(
    fc.asyncProperty(fc.dictionary(names, tensor, { maxKeys: 6 }), async (tensors) => {
      const entries = Object.entries(tensors).map(([name, t]) => [name, { dtype: 'F32', ...t }] as const);
      await writeSafetensors(path, Object.fromEntries(entries));
      await using(path, async (file) => {
        assert.deepEqual(file.names().sort(), Object.keys(tensors).sort());
        for (const [name, { shape, data }] of entries) {
          const back = await file.floats(name, shape);
          assert.deepEqual(new Uint32Array(back.buffer), new Uint32Array(data.buffer));
        }
      });
    }),
    { numRuns: 60 },
  );
});
