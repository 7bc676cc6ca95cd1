const DIGIT_BITS = 11;
const N_DIGITS = 3;

/**
 * Items in the order of their keys; equal keys stay in the order of the items, whichever way it goes. A radix sort, since
 * a million features have to be sorted while a reader waits.
 *
 * @param keys one for each item: whole numbers of 32 bits, or numbers that are rounded to f32
 */
export function sortBy(items: Uint32Array, keys: Float64Array, descending: boolean): Uint32Array {
  let digits = digitsOf(keys);
  if (descending) digits = digits.map((value) => ~value);
  let order = Uint32Array.from(items.keys());
  for (let digit = 0; digit < N_DIGITS; digit++) {
    const shift = digit * DIGIT_BITS;
    const starts = new Uint32Array(2 ** DIGIT_BITS + 1);
    const mask = 2 ** DIGIT_BITS - 1;
    for (let i = 0; i < digits.length; i++) starts[((digits[i] >>> shift) & mask) + 1]++;
    for (let i = 1; i < starts.length; i++) starts[i] += starts[i - 1];
    const sorted = new Uint32Array(order.length);
    for (let i = 0; i < order.length; i++) sorted[starts[(digits[order[i]] >>> shift) & mask]++] = order[i];
    order = sorted;
  }
  return order.map((place) => items[place]);
}

/** Whole numbers of 32 bits that are in the order of the keys. */
function digitsOf(keys: Float64Array): Uint32Array {
  if (keys.every(Number.isInteger)) return Uint32Array.from(keys, (key) => key + 2 ** 31);
  // Adding 0 makes −0 the same as 0.
  const bits = new Uint32Array(Float32Array.from(keys, (key) => key + 0).buffer);
  // The bits of positive floats are in their order; those of negative ones in the opposite one.
  return bits.map((value) => (value >>> 31 ? ~value : value | 0x80000000));
}
