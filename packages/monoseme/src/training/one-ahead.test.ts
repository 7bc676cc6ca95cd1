import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { oneAhead } from './one-ahead.ts';

describe('oneAhead', () => {
  test('makes the next item during the work on this one, and not before it', async () => {
    const events: string[] = [];
    async function* numbers() {
      for (let i = 0; i < 3; i++) {
        events.push(`made ${i}`);
        yield i;
      }
    }
    for await (const i of oneAhead(numbers())) {
      events.push(`begun ${i}`);
      await delay(20);
      events.push(`done ${i}`);
    }
    assert.deepEqual(events, [
      ...['made 0', 'begun 0', 'made 1', 'done 0', 'begun 1', 'made 2', 'done 1', 'begun 2', 'done 2'],
    ]);
  });

  test('an error comes after the items before it, and leaving early ends the source', async () => {
    let isEnded = false;
    async function* failing() {
      try {
        yield 1;
        yield 2;
        throw new Error('no third');
      } finally {
        isEnded = true;
      }
    }
    const seen: number[] = [];
    const all = async () => {
      for await (const item of oneAhead(failing())) {
        await delay(5);
        seen.push(item);
      }
    };
    await assert.rejects(all(), /no third/);
    assert.deepEqual(seen, [1, 2]);
    isEnded = false;
    for await (const item of oneAhead(failing())) if (item === 1) break;
    assert.ok(isEnded);
  });
});
