import type { Figures } from './cards.ts';

const DIGIT_BITS = 11;
const N_DIGITS = 3;
const N_VALUES = 2 ** DIGIT_BITS;
const MASK = N_VALUES - 1;

/**
 * Items in the order of their keys; equal keys stay in the order of the items, whichever way it goes. A radix sort, since
 * a million features have to be sorted while a reader waits.
 */
export function sortBy(items: Uint32Array, keys: Figures, descending: boolean): Uint32Array {
  let digits = digitsOf(keys, descending);
  let sorted = items;
  const counts = countsOf(digits);
  // Keys move with their items: memory is read from end to end, which a million keys are too many to do without.
  for (let digit = 0; digit < N_DIGITS; digit++) {
    const shift = digit * DIGIT_BITS;
    const next = counts.subarray(digit * N_VALUES, (digit + 1) * N_VALUES);
    // One value for all is in order.
    if (next.includes(digits.length)) continue;
    startsOf_(next);
    const [movedItems, movedDigits] = [new Uint32Array(items.length), new Uint32Array(items.length)];
    for (let i = 0; i < digits.length; i++) {
      const place = next[(digits[i] >>> shift) & MASK]++;
      movedItems[place] = sorted[i];
      movedDigits[place] = digits[i];
    }
    [sorted, digits] = [movedItems, movedDigits];
  }
  return sorted === items ? items.slice() : sorted;
}

/** [N_DIGITS, N_VALUES]: how many keys have each value of each digit. */
function countsOf(digits: Uint32Array): Uint32Array {
  const counts = new Uint32Array(N_DIGITS * N_VALUES);
  for (let i = 0; i < digits.length; i++) {
    const bits = digits[i];
    counts[bits & MASK]++;
    counts[N_VALUES + ((bits >>> DIGIT_BITS) & MASK)]++;
    counts[2 * N_VALUES + (bits >>> (2 * DIGIT_BITS))]++;
  }
  return counts;
}

/** Counts become the places of the first key with each value. */
function startsOf_(counts: Uint32Array): void {
  let start = 0;
  for (let value = 0; value < counts.length; value++) {
    const count = counts[value];
    counts[value] = start;
    start += count;
  }
}

/** Whole numbers of 32 bits in the order of the keys, or in the opposite one. */
function digitsOf(keys: Figures, descending: boolean): Uint32Array {
  const flip = descending ? 0xffffffff : 0;
  const digits = new Uint32Array(keys.length);
  if (keys instanceof Int32Array) {
    for (let i = 0; i < keys.length; i++) digits[i] = keys[i] ^ 0x80000000 ^ flip;
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
