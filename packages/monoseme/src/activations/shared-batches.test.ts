import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type BatchStream, SharedBatches } from './shared-batches.ts';

/** A stream of `nBatches` batches [i], which counts what is read and may fail. */
function counted(nBatches: number, failAt = Infinity): BatchStream & { read: number[] } {
  const read: number[] = [];
  return {
    nBatches,
    secondsReading: 0,
    read,
    async *batches(fromBatch = 0) {
      for (let i = fromBatch; i < nBatches; i++) {
        if (i === failAt) throw new Error('unreadable');
        read.push(i);
        yield Float32Array.of(i);
      }
    },
  };
}

async function collect(stream: BatchStream, from = 0, stopAfter = Infinity): Promise<number[]> {
  const seen: number[] = [];
  for await (const batch of stream.batches(from)) {
    seen.push(batch[0]);
    batch[0] = -1; // spoils the copy of nobody else
    await new Promise((done) => setTimeout(done, seen.length % 2));
    if (seen.length === stopAfter) break;
  }
  return seen;
}

test('every batch is read once and all readers see it, wherever they start and stop', async () => {
  const stream = counted(6);
  const shared = new SharedBatches(stream);
  const [whole, late, short] = [shared.reader(), shared.reader(), shared.reader()];
  assert.deepEqual(await Promise.all([collect(whole), collect(late, 3), collect(short, 0, 2)]), [
    [0, 1, 2, 3, 4, 5],
    [3, 4, 5],
    [0, 1],
  ]);
  assert.deepEqual(stream.read, [0, 1, 2, 3, 4, 5]);
});

test('a resumed group reads nothing from before its first reader', async () => {
  const stream = counted(6);
  const shared = new SharedBatches(stream);
  const [a, b] = [shared.reader(), shared.reader()];
  assert.deepEqual(await Promise.all([collect(a, 4), collect(b, 5)]), [[4, 5], [5]]);
  assert.deepEqual(stream.read, [4, 5]);
});

test('one that is closed before it reads, or throws on the way, holds up nobody', async () => {
  const shared = new SharedBatches(counted(4));
  const [a, b, c] = [shared.reader(), shared.reader(), shared.reader()];
  c.close();
  const failing = (async () => {
    for await (const _ of b.batches()) throw new Error('diverged');
  })();
  const [seen] = await Promise.all([collect(a), assert.rejects(failing, /diverged/)]);
  assert.deepEqual(seen, [0, 1, 2, 3]);
});

test('an error of the stream reaches every reader', async () => {
  const shared = new SharedBatches(counted(4, 2));
  const readers = [shared.reader(), shared.reader()];
  await Promise.all(readers.map((reader) => assert.rejects(collect(reader), /unreadable/)));
});
