import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { suffixBatches } from './suffix-batches.ts';

test('property: every edit comes once, beside its context as it is, in calls that fit', () => {
  const contexts = fc.array(fc.integer({ min: 0, max: 6 }), { maxLength: 40 });
  fc.assert(
    fc.property(contexts, fc.integer({ min: 2, max: 9 }), (contextOf, capacity) => {
      const seen: number[] = [];
      for (const { contexts, edits, originals } of suffixBatches(contextOf, capacity)) {
        assert.ok(edits.length <= capacity);
        const kept = contexts.filter((_, row) => edits[row] < 0);
        assert.equal(new Set(kept).size, kept.length, 'a context as it is stands once in a call');
        edits.forEach((edit, row) => {
          const original = originals[row];
          assert.deepEqual([edits[original], contexts[original]], [-1, contexts[row]]);
          if (edit < 0) return;
          assert.equal(contexts[row], contextOf[edit]);
          seen.push(edit);
        });
      }
      assert.deepEqual(
        seen.sort((a, b) => a - b),
        [...contextOf.keys()],
      );
    }),
  );
});

test('a call is filled before the next begins', () => {
  const batches = suffixBatches([0, 1, 0, 0, 0], 4);
  assert.deepEqual(
    batches.map(({ edits }) => [...edits]),
    [
      [-1, 0, 2, 3],
      [-1, 4, -1, 1],
    ],
  );
});
