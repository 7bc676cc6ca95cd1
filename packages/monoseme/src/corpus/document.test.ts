import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fnv1a32, isHeldOut, splitText, toDocuments } from './document.ts';

test('fnv1a32 gives the published values', () => {
  // Test vectors of the FNV specification (draft-eastlake-fnv).
  assert.equal(fnv1a32(''), 0x811c9dc5);
  assert.equal(fnv1a32('a'), 0xe40c292c);
  assert.equal(fnv1a32('foobar'), 0xbf9cf968);
});

test('the held-out rule looks at the id alone and keeps about one in twenty', () => {
  const ids = Array.from({ length: 20_000 }, (_, i) => `corpus/${i}`);
  const heldOut = ids.filter(isHeldOut);
  assert.ok(Math.abs(heldOut.length - 1000) < 120, `${heldOut.length} of 20,000`);
  for (const id of heldOut.slice(0, 10)) assert.equal(fnv1a32(id) % 20, 0);
  assert.equal(isHeldOut('é/1'), fnv1a32('é/1') % 20 === 0);
});

test('pieces joined are the text, and none is too long', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: fc.constantFrom('a', ' ', '\n', '. ', '𝒳', '\n\n'), maxLength: 200 }),
      fc.integer({ min: 2, max: 40 }),
      (text, maxLength) => {
        const pieces = splitText(text, maxLength);
        assert.equal(pieces.join(''), text);
        for (const piece of pieces) {
          assert.ok(piece.length <= maxLength);
          assert.ok(!/\p{Surrogate}/u.test(piece), 'a surrogate pair was cut');
        }
      },
    ),
  );
});

test('a cut prefers a blank line, then a line, a sentence, a word', () => {
  assert.deepEqual(splitText('aaaa bb. cc\nd\n\neeee', 16), ['aaaa bb. cc\nd\n\n', 'eeee']);
  assert.deepEqual(splitText('aaaa bb. cc\nd eeee f', 16), ['aaaa bb. cc\n', 'd eeee f']);
  assert.deepEqual(splitText('aaaa bbbb. cc d eeee', 16), ['aaaa bbbb. ', 'cc d eeee']);
  assert.deepEqual(splitText('aaaa bbbb cc d eeeee', 16), ['aaaa bbbb cc d ', 'eeeee']);
  assert.deepEqual(splitText('a'.repeat(20), 16), ['a'.repeat(16), 'aaaa']);
});

test('a short text keeps its id, the pieces of a long one are numbered, blank ones are dropped', () => {
  assert.deepEqual(toDocuments('s', 'x', 'text'), [{ id: 'x', source: 's', text: 'text' }]);
  assert.deepEqual(toDocuments('s', 'x', ' \n '), []);
  const pieces = toDocuments('s', 'x', 'word '.repeat(5000));
  assert.deepEqual(
    pieces.map(({ id }) => id),
    ['x#0', 'x#1'],
  );
});
