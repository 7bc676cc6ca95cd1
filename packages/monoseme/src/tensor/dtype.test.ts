import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeFloats, encodeFloats } from './index.ts';

const halves = (values: number[]): number[] => [
  ...new Uint16Array(encodeFloats(Float32Array.from(values), 'F16').buffer),
];
const brains = (values: number[]): number[] => [
  ...new Uint16Array(encodeFloats(Float32Array.from(values), 'BF16').buffer),
];

test('all 65,536 bit patterns of F16 and BF16 come back as they were (NaN as a NaN)', () => {
  const all = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
  for (const [dtype, infinity] of [
    ['F16', 0x7c00],
    ['BF16', 0x7f80],
  ] as const) {
    const values = decodeFloats(new Uint8Array(all.buffer), dtype);
    const back = new Uint16Array(encodeFloats(values, dtype).buffer);
    for (const bits of all) {
      const isNaN = (bits & 0x7fff) > infinity;
      assert.equal(Number.isNaN(values[bits]), isNaN);
      if (isNaN) assert.ok((back[bits] & 0x7fff) > infinity, `${dtype} ${bits.toString(16)}`);
      else assert.equal(back[bits], bits, `${dtype} ${bits.toString(16)}`);
    }
  }
});

test('F16 values that people know', () => {
  const bits = Uint16Array.of(0x3c00, 0xc000, 0x7bff, 0x0400, 0x0001, 0x8000, 0x7c00, 0xfc00);
  const values = [...decodeFloats(new Uint8Array(bits.buffer), 'F16')];
  assert.deepEqual(values, [1, -2, 65504, 2 ** -14, 2 ** -24, -0, Infinity, -Infinity]);
});

test('F16 rounds to the nearest, ties to even', () => {
  const ulp = 2 ** -10;
  assert.deepEqual(halves([1 + ulp / 2, 1 + 1.5 * ulp, 1 + 0.51 * ulp]), [0x3c00, 0x3c02, 0x3c01]);
  // Subnormals: multiples of 2^-24.
  const smallest = 2 ** -24;
  assert.deepEqual(
    halves([smallest / 2, 1.5 * smallest, 0.51 * smallest, 2.5 * smallest, -smallest / 2, 1e-30]),
    [0, 2, 1, 2, 0x8000, 0],
  );
  // The border between subnormal and normal, and up to infinity.
  assert.deepEqual(halves([2 ** -14 - 2 ** -26, 65519.996, 65520, -1e30]), [0x0400, 0x7bff, 0x7c00, 0xfc00]);
});

test('BF16 rounds to the nearest, ties to even', () => {
  const ulp = 2 ** -7;
  assert.deepEqual(brains([1 + ulp / 2, 1 + 1.5 * ulp, 1 + 0.51 * ulp]), [0x3f80, 0x3f82, 0x3f81]);
  assert.deepEqual(brains([3.4e38, NaN]), [0x7f80, 0x7fc0]);
});

test('every f32 goes to one of its two neighbours in F16, the nearer one', () => {
  const float = fc.float({ min: Math.fround(-65504), max: Math.fround(65504), noNaN: true });
  fc.assert(
    fc.property(float, (value) => {
      const [bits] = halves([value]);
      const neighbours = [bits, bits + 1, bits === 0 || bits === 0x8000 ? bits : bits - 1];
      const [chosen, ...others] = decodeFloats(new Uint8Array(Uint16Array.from(neighbours).buffer), 'F16');
      for (const other of others) assert.ok(Math.abs(chosen - value) <= Math.abs(other - value));
    }),
    { numRuns: 2000 },
  );
});

test('bytes that are not aligned are decoded too', () => {
  const source = Float32Array.of(1.5, -2.25);
  const shifted = new Uint8Array(9);
  shifted.set(new Uint8Array(source.buffer), 1);
  assert.deepEqual([...decodeFloats(shifted.subarray(1), 'F32')], [1.5, -2.25]);
});

test('the shape checks name what was wrong', async () => {
  const { expectFinite, expectLength, expectPositiveInteger } = await import('./index.ts');
  assert.doesNotThrow(() => expectLength('x', new Float32Array(6), 2, 3));
  assert.throws(() => expectLength('x', new Float32Array(5), 2, 3), {
    code: 'ERR_SHAPE',
    message: /x has 5.*\[2, 3\]/,
  });
  for (const value of [0, -1, 1.5, NaN, Infinity])
    assert.throws(() => expectPositiveInteger('n', value), { code: 'ERR_OPTION' });
  assert.throws(() => expectFinite('x', Float32Array.of(1, 2, -Infinity)), {
    code: 'ERR_NOT_FINITE',
    message: /-Infinity at element 2/,
  });
});

test('the largest numbers are finite; NaN and infinities of either sign are found at every place', async () => {
  const { allFinite } = await import('./index.ts');
  const largest = new Float32Array(1003).fill(3.4028234e38);
  assert.ok(allFinite(largest) && allFinite(new Float32Array()));
  for (const place of [0, 1, 2, 3, 1001, 1002]) {
    for (const wrong of [NaN, Infinity, -Infinity]) {
      const values = largest.slice();
      values[place] = wrong;
      assert.ok(!allFinite(values), `${wrong} at ${place}`);
      values[500] = -wrong;
      assert.ok(!allFinite(values), `${wrong} at ${place} and its negative`);
    }
  }
});
