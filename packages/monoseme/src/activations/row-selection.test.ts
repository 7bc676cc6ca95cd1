import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { fixture, randomTokens } from '../testing/fixtures.ts';
import { decodeRows, encodeRows } from './encoding.ts';
import { type ActivationSource, ActivationStore, MixingBuffer, modelSource } from './index.ts';

const root = await mkdtemp(join(tmpdir(), 'monoseme-rows-'));
const tokens = randomTokens(23, 12);
const SIZES = { contextsPerChunk: 2, rowsPerShard: 60 };
let runner: ModelRunner;
before(async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  runner = await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post', threads: 1 });
});
after(async () => {
  await runner.close();
  await rm(root, { recursive: true });
});

/** Every row of a source with its place in the token stream (its document is its context here). */
async function placedRows(source: ActivationSource): Promise<[number, number[]][]> {
  const all: [number, number[]][] = [];
  for (let chunk = 0; chunk < source.nChunks; chunk++) {
    const { activations, origins } = await source.readRows!(chunk);
    assert.equal(activations.length, source.dIn * origins.positions!.length);
    origins.positions!.forEach((position, row) => {
      const place = origins.documents![row] * 12 + position;
      assert.equal(origins.tokenIds![row], tokens.tokens[place]);
      all.push([place, [...activations.subarray(row * source.dIn, (row + 1) * source.dIn)]]);
    });
  }
  return all;
}

/** A model whose rows have the norm 1, but for those of token 7: 100. */
function withSinks(): ModelRunner {
  return Object.create(runner, {
    recycle: { value: () => {} },
    activations: {
      value: async (part: Uint32Array) => {
        const rows = new Float32Array(part.length * runner.dIn);
        part.forEach((token, i) => (rows[i * runner.dIn] = token === 7 ? 100 : 1));
        return rows;
      },
    },
  }) as ModelRunner;
}
const nOf = (id: number) => tokens.tokens.filter((token) => token === id).length;

describe('which tokens give a row', () => {
  test('those of the roles asked for', async () => {
    const of = Uint8Array.from(tokens.tokens, (_, place) => place % 3);
    const spoken = { ...tokens, roles: { names: ['none', 'template', 'user'], of } };
    const source = modelSource(runner, spoken, { ...SIZES, rows: { roles: ['user'] } });
    const rows = await placedRows(source);
    assert.deepEqual(
      rows.map(([place]) => place),
      [...of.keys()].filter((place) => place % 3 === 2),
    );
    assert.match(source.description, /, only what is said by user$/);
    const asked = (set: typeof tokens, role: string) => () =>
      modelSource(runner, set, { rows: { roles: [role] } });
    const message = /no token of the role "judge"; its roles are none, template, user/;
    assert.throws(asked(spoken, 'judge'), { code: 'ERR_EMPTY_TEXT', message });
    assert.throws(asked(tokens, 'user'), { code: 'ERR_EMPTY_TEXT', message: /it has no conversations/ });
  });

  test('so many of each context, drawn by the seed; rows and origins are those of the tokens', async () => {
    const exact = await runner.activations(tokens.tokens, 12);
    const draw = (seed: number) =>
      placedRows(modelSource(runner, tokens, { ...SIZES, rows: { tokensPerContext: 5, seed } }));
    const rows = await draw(1);
    assert.equal(rows.length, 23 * 5);
    assert.equal(new Set(rows.map(([place]) => place)).size, 23 * 5, 'without replacement');
    for (const [place, row] of rows) assert.deepEqual(row, [...exact.subarray(place * 24, (place + 1) * 24)]);
    const places = async (seed: number) => (await draw(seed)).map(([place]) => place);
    assert.deepEqual(await places(1), await places(1));
    assert.notDeepEqual(await places(1), await places(2));
    const counts = new Array<number>(12).fill(0);
    for (let seed = 0; seed < 20; seed++) for (const place of await places(seed)) counts[place % 12]++;
    const expected = (20 * 23 * 5) / 12;
    assert.ok(
      counts.every((n) => Math.abs(n - expected) < 5 * Math.sqrt(expected)),
      `every position is as likely: ${counts}`,
    );
  });

  test('dropped tokens and rows far longer than the median are counted, alike stored and streaming', async () => {
    const rows = { dropTokens: [3], maxNormRatio: 10 };
    const streaming = modelSource(withSinks(), tokens, { ...SIZES, rows });
    const streamed = await placedRows(streaming);
    const expected = { read: 276, tokens: nOf(3), notDrawn: 0, norms: nOf(7) };
    assert.deepEqual(streaming.dropped, expected);
    assert.ok(nOf(3) > 0 && nOf(7) > 0 && streamed.length === 276 - nOf(3) - nOf(7));
    assert.ok(streamed.every(([place]) => ![3, 7].includes(tokens.tokens[place])));
    const store = await ActivationStore.write(join(root, 'dropped'), withSinks(), tokens, { ...SIZES, rows });
    assert.deepEqual(store.dropped, expected);
    assert.deepEqual([store.leftOut, streaming.leftOut], [rows, rows]);
    assert.equal(store.nRows, streamed.length);
    assert.deepEqual(await placedRows(store), streamed);
  });

  test('what was computed for the median norm is not computed again when it is read', async () => {
    let nTokens = 0;
    const counting = Object.create(withSinks(), {
      activations: {
        value: (part: Uint32Array) => {
          nTokens += part.length;
          return withSinks().activations(part, 12);
        },
      },
    }) as ModelRunner;
    const source = modelSource(counting, tokens, { ...SIZES, rows: { maxNormRatio: 10 } });
    const first = await placedRows(source);
    assert.equal(nTokens, 276);
    assert.deepEqual(await placedRows(source), first);
    assert.equal(nTokens, 2 * 276, 'and is not kept for the next epoch');
  });

  test('options that cannot work', () => {
    const source = (rows: object) => modelSource(runner, tokens, { rows });
    assert.throws(() => source({ tokensPerContext: 13 }), { code: 'ERR_OPTION', message: /has 12/ });
    assert.throws(() => source({ maxNormRatio: 1 }), { code: 'ERR_OPTION' });
    const all = Array.from({ length: 50 }, (_, id) => id);
    assert.throws(() => source({ dropTokens: all }), { code: 'ERR_EMPTY_TEXT' });
  });
});

describe('the stream of a store', () => {
  const epochs = 3;
  for (const [name, rows] of Object.entries({
    whole: {},
    drawn: { tokensPerContext: 5 },
    dropped: { dropTokens: [3, 9, 11], maxNormRatio: 1.2 },
  })) {
    test(`${name}: every stored row exactly once an epoch`, async () => {
      const options = { ...SIZES, dtype: 'F32' as const, rows };
      const store = await ActivationStore.write(join(root, `epochs-${name}`), runner, tokens, options);
      const stored = (await placedRows(store)).map(([, row]) => row.join()).sort();
      const batchRows = 7;
      const buffer = new MixingBuffer(store, { batchRows, bufferRows: 50, seed: 4, epochs });
      const stream: string[] = [];
      for await (const batch of buffer.batches()) {
        for (let row = 0; row < batchRows; row++)
          stream.push(batch.subarray(row * 24, (row + 1) * 24).join());
      }
      assert.equal(stream.length, Math.floor((epochs * store.nRows) / batchRows) * batchRows);
      for (let epoch = 0; epoch + 1 < epochs; epoch++) {
        const used = stream.slice(epoch * store.nRows, (epoch + 1) * store.nRows).sort();
        assert.deepEqual(used, stored);
      }
      const last = stream.slice((epochs - 1) * store.nRows);
      const left = [...stored];
      for (const row of last) left.splice(left.indexOf(row), 1);
      assert.equal(left.length, store.nRows - last.length, 'the last epoch repeats none either');
    });
  }

  test('how mixed it is: the share of a batch from its most frequent document', async () => {
    const store = await ActivationStore.open(join(root, 'epochs-whole'));
    const mixed = async (source: ActivationSource, bufferRows: number) => {
      const buffer = new MixingBuffer(source, { batchRows: 24, bufferRows, seed: 4 });
      for await (const _ of buffer.batches());
      return buffer.mixing.figures!;
    };
    const poor = await mixed(store, 1); // a block is one chunk of two documents; a batch lies in two
    const good = await mixed(store, 1000);
    assert.ok(poor.meanShare > 0.3 && poor.meanDocuments < 4.1, JSON.stringify(poor));
    assert.ok(good.meanShare < 0.25 && good.meanDocuments > 10, JSON.stringify(good));
    assert.deepEqual(await mixed(modelSource(runner, tokens, SIZES), 1000), good, 'streaming is the same');
  });

  test('streaming without long rows fills batches up from the block', async () => {
    const source = modelSource(withSinks(), tokens, { ...SIZES, rows: { maxNormRatio: 10 } });
    const buffer = new MixingBuffer(source, { batchRows: 23, bufferRows: 96, seed: 1, epochs: 2 });
    let n = 0;
    for await (const batch of buffer.batches()) {
      for (let row = 0; row < 23; row++, n++) assert.equal(batch[row * 24], 1);
    }
    assert.equal(n, 2 * 276);
  });
});

test('what the runtime rounds to f16 is what is rounded here, also of drawn tokens', async () => {
  for (const rows of [{}, { tokensPerContext: 5 }]) {
    const source = modelSource(runner, tokens, { ...SIZES, rows });
    for (let chunk = 0; chunk < source.nChunks; chunk++) {
      const { halves, origins } = await source.readHalves(chunk);
      const exact = await source.readRows(chunk);
      assert.deepEqual([...halves], [...encodeRows(exact.activations, 24, 'F16').data]);
      assert.deepEqual(origins, exact.origins);
    }
  }
});

describe('int8 with a scale a row', () => {
  test('an element is off by half a scale at most; zeros and extremes survive', () => {
    const rows = Float32Array.of(0, 0, 0, 1, -127, 63.4, 3e38, -1e-3, 1.5e38);
    const encoded = encodeRows(rows, 3, 'I8');
    const decoded = decodeRows(encoded, 3, 'I8');
    assert.deepEqual([...encoded.scales!.subarray(0, 2)], [0, 1]);
    assert.deepEqual([...decoded.subarray(0, 6)], [0, 0, 0, 1, -127, 63]);
    rows.forEach((x, i) => {
      const scale = encoded.scales![Math.floor(i / 3)];
      assert.ok(Math.abs(x - decoded[i]) <= scale * 0.5001);
    });
  });

  test('stored, verified and read', async () => {
    const options = { ...SIZES, dtype: 'I8' as const };
    const store = await ActivationStore.write(join(root, 'int8'), runner, tokens, options);
    await store.verify();
    const exact = await runner.activations(tokens.tokens, 12);
    for (const [place, row] of await placedRows(store)) {
      const before = exact.subarray(place * 24, (place + 1) * 24);
      const scale = Math.max(...before.map(Math.abs)) / 127;
      row.forEach((x, i) => assert.ok(Math.abs(x - before[i]) <= scale * 0.5001));
    }
  });
});

test('what is whole of a store stays usable', async () => {
  const folder = join(root, 'salvaged');
  const whole = await ActivationStore.write(folder, runner, tokens, SIZES);
  const all = await placedRows(whole);
  await writeFile(join(folder, 'shard-00001.safetensors'), 'damaged');
  await rm(join(folder, 'shard-00003.safetensors'));
  const store = await ActivationStore.salvage(folder);
  assert.equal(store.nLost, 2);
  assert.match(store.description, /2 of 6 shards left out/);
  assert.notEqual(store.hash, whole.hash);
  const kept = (place: number) => ![1, 3].includes(Math.floor(place / 48));
  assert.deepEqual(
    await placedRows(store),
    all.filter(([place]) => kept(place)),
  );
  await rm(join(folder, 'manifest.json')); // as if the harvest had not ended
  assert.deepEqual(await placedRows(await ActivationStore.salvage(folder)), await placedRows(store));
});
