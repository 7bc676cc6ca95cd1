import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { selectBackend } from '../../kernels/index.ts';
import { fixture } from '../../testing/fixtures.ts';
import { DEFAULT_OPTIONS, trainDictionary } from '../../training/index.ts';
import { ActivationStore, type ImportOptions, importStore } from '../index.ts';

const root = await mkdtemp(join(tmpdir(), 'monoseme-import-'));
after(() => rm(root, { recursive: true }));

/** The numbers of fixtures/make-imports.py: 6 contexts of 5 tokens with 3 numbers. */
const ROWS = Array.from({ length: 30 }, (_, row) =>
  [0, 1, 2].map((i) => Math.floor(row / 5) + (row % 5) / 8 + i / 64 - 2),
).flat();
const TOKEN_IDS = Array.from({ length: 30 }, (_, row) => (row * 7) % 50);
const POSITIONS = Array.from({ length: 30 }, (_, row) => row % 5);

let n = 0;
const imported = (name: string, options: ImportOptions = {}) =>
  importStore(join(root, `store-${n++}`), [fixture('imports', name)], options);

async function content(store: ActivationStore) {
  const rows: number[] = [];
  const tokenIds: number[] = [];
  const positions: number[] = [];
  for (let chunk = 0; chunk < store.nChunks; chunk++) {
    const { activations, origins } = await store.readRows(chunk);
    rows.push(...activations);
    tokenIds.push(...(origins.tokenIds ?? []));
    positions.push(...(origins.positions ?? []));
  }
  return { rows, tokenIds, positions };
}

describe('what other programs wrote is read to the bit', () => {
  const HOOK = 'blocks.1.hook_resid_post';
  for (const [name, known, contextSize, dtype] of [
    ['contexts.safetensors', 'tokens and positions', 5, 'F16'],
    ['rows.safetensors', 'tokens and positions', 1, 'F32'],
    ['contexts.npy', 'positions', 5, 'F32'],
    ['rows-f16.npy', '', 1, 'F16'],
    ['arrays.npz', 'tokens and positions', 5, 'F32'],
    ['packed.npz', 'tokens and positions', 1, 'F32'],
    ['rows.parquet', 'tokens and positions', 1, 'F32'],
    ['saelens', 'tokens and positions', 5, 'F32'],
    ['saelens-f16', 'tokens and positions', 5, 'F16'],
  ] as const) {
    test(name, async () => {
      const { store } = await imported(name);
      assert.deepEqual([store.dIn, store.nRows, store.contextSize], [3, 30, contextSize]);
      assert.match(store.description, new RegExp(`stored as ${dtype}`));
      assert.deepEqual(await content(store), {
        rows: ROWS,
        tokenIds: known.includes('tokens') ? TOKEN_IDS : [],
        positions: known.includes('positions') ? POSITIONS : [],
      });
      if (name.startsWith('saelens')) assert.equal(store.hookName, HOOK);
      await store.verify();
    });
  }
});

test('a safetensors file that fits is not copied; another element type is', async () => {
  const folder = join(root, 'linked');
  await mkdir(folder);
  await copyFile(fixture('imports/contexts.safetensors'), join(folder, 'a.safetensors'));
  await copyFile(fixture('imports/contexts.safetensors'), join(folder, 'b.safetensors'));
  const out = join(root, 'linked-store');
  const { store, nLinked } = await importStore(out, [folder], { hookName: 'h', modelName: 'm' });
  assert.equal(nLinked, 2);
  assert.deepEqual([store.nRows, store.hookName, store.modelName], [60, 'h', 'm']);
  const inode = async (path: string) => (await stat(path)).ino;
  assert.equal(await inode(join(out, 'shard-00001.safetensors')), await inode(join(folder, 'b.safetensors')));
  assert.deepEqual((await content(store)).rows, [...ROWS, ...ROWS]);
  await writeFile(join(folder, 'b.safetensors'), await readFile(fixture('imports/infinite.safetensors')));
  await assert.rejects(store.verify(), { code: 'ERR_MISMATCH' });
  const int8 = await importStore(join(root, 'int8'), [fixture('imports/contexts.safetensors')], {
    dtype: 'I8',
  });
  assert.equal(int8.nLinked, 0);
  const { rows } = await content(int8.store);
  assert.ok(rows.every((x, i) => Math.abs(x - ROWS[i]) <= 5 / 254));
});

test('a dictionary is trained on an imported store', async () => {
  const { store } = await imported('saelens');
  const result = await trainDictionary({
    source: store,
    backend: await selectBackend({ name: 'reference' }),
    options: { ...DEFAULT_OPTIONS, dSae: 6, tokens: 120, batchRows: 10, bufferRows: 30, resampleAt: [] },
    hookName: store.hookName,
    modelName: store.modelName,
    out: join(root, 'dictionary'),
    resume: false,
  });
  assert.equal(result.nSteps, 12);
  assert.ok(Number.isFinite(result.last.explainedVariance));
  assert.equal(result.mixing!.meanDocuments > 3, true, 'contexts are told apart');
});

describe('what cannot be imported', () => {
  for (const [name, options, code, message] of [
    ['infinite.safetensors', {}, 'ERR_NOT_FINITE', /row 17, element 1, of .* is Infinity/],
    ['fortran.npy', {}, 'ERR_FORMAT', /not in C order.*ascontiguousarray/],
    ['uneven.parquet', {}, 'ERR_FORMAT', /several lengths/],
    [
      'rows.parquet',
      { names: { activations: 'x' } },
      'ERR_FORMAT',
      /has no "x": it has activation, token_id/,
    ],
    ['rows.parquet', { names: { activations: 'token_id' } }, 'ERR_FORMAT', /lists of numbers/],
    ['rows.safetensors', { names: { tokenIds: 'acts' } }, 'ERR_FORMAT', /not one whole number a row/],
    ['none.npy', {}, 'ERR_NOT_FOUND', /none\.npy/],
    ['saelens/state.json', {}, 'ERR_OPTION', /of no kind/],
  ] as const) {
    test(`${name} ${JSON.stringify(options)}`, async () => {
      const out = join(root, `bad-${n++}`);
      const wrong = importStore(out, [fixture('imports', name)], options);
      await assert.rejects(wrong, { code, message });
      const left = await readdir(out).catch(() => [] as string[]);
      assert.ok(!left.includes('manifest.json') && !left.some((file) => file.endsWith('.lock')));
    });
  }

  test('files of several widths; a folder in use; damaged files; paths in a data set', async () => {
    const both = [fixture('imports/rows-f16.npy'), fixture('imports/contexts.npy')];
    await assert.rejects(importStore(join(root, 'two'), both), { code: 'ERR_MISMATCH' });
    await writeFile(join(root, 'file.txt'), '');
    await assert.rejects(importStore(root, both.slice(1)), { code: 'ERR_EXISTS' });
    for (const name of ['rows.parquet', 'saelens/data-00000-of-00002.arrow', 'contexts.npy', 'packed.npz']) {
      const bytes = await readFile(fixture('imports', name));
      const path = join(root, `cut.${name.split('.').at(-1)}`);
      for (const length of [0, 3, 100, bytes.length - 9]) {
        await writeFile(path, bytes.subarray(0, length));
        await assert.rejects(
          importStore(join(root, 'cut'), [path]),
          { code: 'ERR_FORMAT' },
          `${name} ${length}`,
        );
      }
    }
    const folder = join(root, 'outside');
    await mkdir(folder);
    await writeFile(join(folder, 'state.json'), '{"_data_files":[{"filename":"../saelens/a.arrow"}]}');
    await assert.rejects(importStore(join(root, 'o'), [folder]), {
      code: 'ERR_FORMAT',
      message: /no Arrow files/,
    });
  });
});
