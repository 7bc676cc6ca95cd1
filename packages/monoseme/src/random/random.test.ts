import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hashSeed, Random } from './index.ts';

test('the same seed gives the same numbers, another seed gives others', () => {
  const draw = (seed: number) => {
    const random = new Random(seed);
    return [random.uint32(), random.uniform(), random.normal(), random.integer(10)];
  };
  assert.deepEqual(draw(1), draw(1));
  assert.notDeepEqual(draw(1), draw(2));
});

test('the first numbers of seed 1 never change: every result that a seed names depends on them', () => {
  const random = new Random(1);
  assert.deepEqual([random.uint32(), random.uint32(), random.uint32()], [393288148, 2174103013, 3814759091]);
});

test('uniform and normal have the moments they should', () => {
  const random = new Random(7);
  let sum = 0;
  let normalSum = 0;
  let normalSquares = 0;
  const n = 200_000;
  for (let i = 0; i < n; i++) {
    const u = random.uniform();
    assert.ok(u >= 0 && u < 1);
    sum += u;
    const z = random.normal();
    normalSum += z;
    normalSquares += z * z;
  }
  assert.ok(Math.abs(sum / n - 0.5) < 0.005);
  assert.ok(Math.abs(normalSum / n) < 0.01);
  assert.ok(Math.abs(normalSquares / n - 1) < 0.02);
});

test('a permutation holds every index once, and integer covers its range', () => {
  const random = new Random(3);
  assert.deepEqual(
    [...random.permutation(100)].sort((a, b) => a - b),
    [...Array(100).keys()],
  );
  const counts = new Uint32Array(3);
  for (let i = 0; i < 3000; i++) counts[random.integer(3)]++;
  for (const count of counts) assert.ok(count > 850 && count < 1150);
  assert.equal(random.permutation(0).length, 0);
});

test('labels give independent streams', () => {
  assert.notEqual(hashSeed(1, 'a'), hashSeed(1, 'b'));
  assert.notEqual(hashSeed(1, 'a', 2), hashSeed(1, 'a', 3));
  assert.equal(hashSeed(1, 'a'), hashSeed(1, 'a'));
});
