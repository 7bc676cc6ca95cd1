import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { type ActivationSource, MixingBuffer } from './index.ts';

/** A source whose rows are [number of the row, −number of the row]; it counts what is read. */
class CountingSource implements ActivationSource {
  readonly dIn = 2;
  readonly contextSize = 1;
  readonly description = 'counting';
  readonly hash = 'counting';
  readonly nChunks: number;
  reads: number[] = [];
  running = 0;
  readonly #rowsOfChunk: number;
  readonly #rows: number;

  constructor(rows: number, rowsOfChunk: number) {
    this.#rows = rows;
    this.#rowsOfChunk = rowsOfChunk;
    this.nChunks = Math.ceil(rows / rowsOfChunk);
  }

  chunkRows(chunk: number): number {
    return Math.min(this.#rowsOfChunk, this.#rows - chunk * this.#rowsOfChunk);
  }

  async readChunk(chunk: number, signal?: AbortSignal): Promise<Float32Array> {
    this.running++;
    await new Promise((resolve) => setImmediate(resolve));
    this.running--;
    if (signal?.aborted) throw new Error('aborted');
    this.reads.push(chunk);
    const first = chunk * this.#rowsOfChunk;
    return Float32Array.from({ length: 2 * this.chunkRows(chunk) }, (_, i) =>
      i % 2 === 0 ? first + i / 2 : -(first + (i - 1) / 2),
    );
  }
}

async function collect(batches: AsyncIterable<Float32Array>): Promise<number[][]> {
  const all: number[][] = [];
  for await (const batch of batches) {
    for (let i = 0; i < batch.length; i += 2) assert.equal(batch[i + 1], -batch[i], 'rows stay whole');
    all.push([...batch].filter((_, i) => i % 2 === 0));
  }
  return all;
}

const ascending = (rows: number[]): number[] => [...rows].sort((a, b) => a - b);

test('every row comes exactly once an epoch', async () => {
  const source = new CountingSource(100, 8);
  const buffer = new MixingBuffer(source, { batchRows: 10, bufferRows: 30, seed: 1, epochs: 3 });
  assert.equal(buffer.nBatches, 30);
  const rows = (await collect(buffer.batches())).flat();
  const expected = [...Array(100).keys()];
  const epochs = [0, 1, 2].map((epoch) => rows.slice(epoch * 100, (epoch + 1) * 100));
  for (const epoch of epochs) assert.deepEqual(ascending(epoch), expected);
  assert.notDeepEqual(epochs[0], epochs[1]);
  assert.notDeepEqual(epochs[1], epochs[2]);
  assert.equal(source.reads.length, 3 * 13);
});

test('the last rows, less than a batch, are dropped; batches cross blocks and epochs', async () => {
  const buffer = new MixingBuffer(new CountingSource(25, 4), {
    batchRows: 7,
    bufferRows: 8,
    seed: 1,
    epochs: 2,
  });
  assert.equal(buffer.nBatches, 7);
  const batches = await collect(buffer.batches());
  assert.ok(batches.every((batch) => batch.length === 7));
  assert.deepEqual(ascending(batches.flat().slice(0, 25)), [...Array(25).keys()]);
  const none = new MixingBuffer(new CountingSource(5, 5), { batchRows: 6, bufferRows: 5, seed: 1 });
  assert.equal(none.nBatches, 0);
  assert.deepEqual(await collect(none.batches()), []);
});

test('property: reading from any batch gives the same bytes as reading from the start', async () => {
  const whole = fc.integer({ min: 1, max: 40 });
  await fc.assert(
    fc.asyncProperty(
      whole,
      whole,
      whole,
      whole,
      fc.integer({ min: 1, max: 3 }),
      fc.nat(),
      async (...numbers) => {
        const [rows, chunk, batchRows, bufferRows, epochs, seed] = numbers;
        const make = () =>
          new MixingBuffer(new CountingSource(rows, chunk), { batchRows, bufferRows, epochs, seed });
        const all = await collect(make().batches());
        assert.equal(all.length, make().nBatches);
        assert.equal(all.length, Math.floor((rows * epochs) / batchRows));
        const used = all.flat().slice(0, Math.floor(all.flat().length / rows) * rows);
        for (let i = 0; i < used.length; i += rows)
          assert.deepEqual(ascending(used.slice(i, i + rows)), [...Array(rows).keys()]);
        const from = seed % (all.length + 1);
        assert.deepEqual(await collect(make().batches(from)), all.slice(from));
      },
    ),
    { numRuns: 150 },
  );
});

test('the same seed gives the same order, another seed another', async () => {
  const run = (seed: number) =>
    collect(new MixingBuffer(new CountingSource(64, 4), { batchRows: 8, bufferRows: 16, seed }).batches());
  assert.deepEqual(await run(5), await run(5));
  assert.notDeepEqual(await run(5), await run(6));
});

test('rows are mixed: a batch holds rows from all over its block', async () => {
  const buffer = new MixingBuffer(new CountingSource(10_000, 100), {
    batchRows: 100,
    bufferRows: 2000,
    seed: 2,
  });
  for (const batch of await collect(buffer.batches())) {
    const chunks = new Set(batch.map((row) => Math.floor(row / 100)));
    assert.ok(chunks.size >= 15, `${chunks.size} of the block's 20 chunks`);
  }
});

test('batches that are given back hold later ones: one array is enough, and the rows are the same', async () => {
  const make = () =>
    new MixingBuffer(new CountingSource(400, 20), { batchRows: 30, bufferRows: 60, seed: 4 });
  const expected = await collect(make().batches());
  const buffer = make();
  const arrays = new Set<ArrayBuffer>();
  const seen: number[][] = [];
  for await (const batch of buffer.batches()) {
    arrays.add(batch.buffer);
    seen.push([...batch].filter((_, i) => i % 2 === 0));
    buffer.reuse(batch);
  }
  assert.deepEqual(seen, expected);
  assert.equal(arrays.size, 1);
});

test('memory is bounded: never more read than the block in use and the next', async () => {
  const source = new CountingSource(1000, 10);
  const buffer = new MixingBuffer(source, { batchRows: 20, bufferRows: 100, seed: 3 });
  let used = 0;
  for await (const batch of buffer.batches()) {
    used += batch.length / 2;
    await new Promise((resolve) => setTimeout(resolve, 2));
    const blocksDone = Math.floor((used - 1) / 100);
    assert.ok(
      source.reads.length * 10 <= (blocksDone + 2) * 100,
      `${source.reads.length} chunks after ${used} rows`,
    );
  }
});

test('the next block is read while the current one is used', async () => {
  const source = new CountingSource(60, 10);
  const batches = new MixingBuffer(source, { batchRows: 30, bufferRows: 30, seed: 3 }).batches();
  await batches.next();
  for (let i = 0; i < 10; i++) await new Promise((resolve) => setImmediate(resolve));
  assert.equal(source.reads.length, 6);
  await batches.return(undefined);
});

test('stopping early leaves nothing running, and the signal interrupts', async () => {
  const source = new CountingSource(1000, 10);
  const buffer = new MixingBuffer(source, { batchRows: 20, bufferRows: 100, seed: 3 });
  for await (const batch of buffer.batches()) {
    assert.ok(batch.length > 0);
    break;
  }
  assert.equal(source.running, 0);
  const reads = source.reads.length;
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(source.reads.length, reads);
  const controller = new AbortController();
  const interrupted = (async () => {
    for await (const batch of buffer.batches(0, controller.signal)) if (batch.length > 0) controller.abort();
  })();
  await assert.rejects(interrupted, { code: 'ERR_INTERRUPTED' });
});

test('an error of the source reaches the reader, also from the block that is read ahead', async () => {
  const source = new CountingSource(100, 10);
  const broken = new Error('broken');
  source.readChunk = async (chunk) => {
    if (source.reads.push(chunk) > 7) throw broken;
    return new Float32Array(20);
  };
  const buffer = new MixingBuffer(source, { batchRows: 10, bufferRows: 50, seed: 3 });
  let batches = 0;
  const read = (async () => {
    for await (const batch of buffer.batches()) batches += batch.length / 20;
  })();
  await assert.rejects(read, broken);
  assert.equal(batches, 5);
});

test('options that cannot work', () => {
  const source = new CountingSource(10, 5);
  const good = { batchRows: 2, bufferRows: 4, seed: 0 };
  for (const bad of [{ batchRows: 0 }, { bufferRows: 0.5 }, { epochs: 0 }])
    assert.throws(() => new MixingBuffer(source, { ...good, ...bad }), { code: 'ERR_OPTION' });
});
