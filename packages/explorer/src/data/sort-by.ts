const DIGIT_BITS = 11;
const N_DIGITS = 3;
const MASK = 2 ** DIGIT_BITS - 1;

/**
 * Items in the order of their keys; equal keys stay in the order of the items, whichever way it goes. A radix sort, since
 * a million features have to be sorted while a reader waits.
 *
 * @param keys one for each item: whole numbers of 32 bits, or numbers that are rounded to f32
 */
export function sortBy(items: Uint32Array, keys: Float64Array, descending: boolean): Uint32Array {
  const digits = digitsOf(keys, descending);
  let order = new Uint32Array(items.length);
  for (let i = 0; i < order.length; i++) order[i] = i;
  for (let shift = 0; shift < N_DIGITS * DIGIT_BITS; shift += DIGIT_BITS) {
    const starts = new Uint32Array(2 ** DIGIT_BITS + 1);
    for (let i = 0; i < digits.length; i++) starts[((digits[i] >>> shift) & MASK) + 1]++;
    for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1];
    const sorted = new Uint32Array(order.length);
    for (let i = 0; i < order.length; i++) sorted[starts[(digits[order[i]] >>> shift) & MASK]++] = order[i];
    order = sorted;
  }
  for (let i = 0; i < order.length; i++) order[i] = items[order[i]];
  return order;
}

/** Whole numbers of 32 bits in the order of the keys, or in the opposite one. */
function digitsOf(keys: Float64Array, descending: boolean): Uint32Array {
  const flip = descending ? 0xffffffff : 0;
  const digits = new Uint32Array(keys.length);
  if (keys.every(Number.isInteger)) {
    for (let i = 0; i < keys.length; i++) digits[i] = (keys[i] + 2 ** 31) ^ flip;
    return digits;
  }
  const floats = new Float32Array(digits.buffer);
  for (let i = 0; i < keys.length; i++) {
    // Adding 0 makes −0 the same as 0.
    floats[i] = keys[i] + 0;
    // The bits of positive floats are in their order; those of negative ones in the opposite one.
    digits[i] = (digits[i] >>> 31 ? ~digits[i] : digits[i] | 0x80000000) ^ flip;
  }
  return digits;
}
