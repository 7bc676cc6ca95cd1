/** Element types, by their safetensors names. */
export type Dtype = 'F32' | 'F16' | 'BF16';

export function bytesPerElement(dtype: Dtype): number {
  return dtype === 'F32' ? 4 : 2;
}

/** The nearest half-precision bits of a float's bits (ties to even; overflow gives infinity). */
function halfBits(bits: number): number {
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude >= 0x38800000) {
    const rounded = magnitude + 0xfff + ((magnitude >>> 13) & 1);
    return sign | ((rounded - 0x38000000) >>> 13);
  }
  // Subnormal halves are multiples of 2^-24: shift the 24-bit fraction there, and round what falls off.
  const shift = 126 - (magnitude >>> 23);
  if (shift > 24) return sign;
  const fraction = (magnitude & 0x7fffff) | 0x800000;
  const half = 1 << (shift - 1);
  const odd = (fraction >>> shift) & 1;
  return sign | ((fraction + half - 1 + odd) >>> shift);
}

/** All 65,536 half-precision values, made at first use: a table is the fastest decoder in JavaScript. */
let halfValues: Float32Array | undefined;
function halfTable(): Float32Array {
  if (halfValues) return halfValues;
  halfValues = new Float32Array(65536);
  for (let bits = 0; bits < 65536; bits++) {
    const exponent = (bits >>> 10) & 31;
    const fraction = bits & 1023;
    const magnitude =
      exponent === 31
        ? fraction === 0
          ? Infinity
          : NaN
        : exponent === 0
          ? fraction * 2 ** -24
          : (1 + fraction / 1024) * 2 ** (exponent - 15);
    halfValues[bits] = bits & 0x8000 ? -magnitude : magnitude;
  }
  return halfValues;
}

/**
 * Little-endian bytes of F32, F16 or BF16 elements as f32.
 *
 * The result is a view of `bytes` where alignment and dtype allow (F32), else a new array.
 */
export function decodeFloats(bytes: Uint8Array, dtype: Dtype): Float32Array {
  const aligned = bytes.byteOffset % bytesPerElement(dtype) === 0 ? bytes : bytes.slice();
  const n = aligned.byteLength / bytesPerElement(dtype);
  if (dtype === 'F32') return new Float32Array(aligned.buffer, aligned.byteOffset, n);
  const halves = new Uint16Array(aligned.buffer, aligned.byteOffset, n);
  const out = new Float32Array(n);
  if (dtype === 'F16') {
    const table = halfTable();
    for (let i = 0; i < n; i++) out[i] = table[halves[i]];
  } else {
    const bits = new Uint32Array(out.buffer);
    for (let i = 0; i < n; i++) bits[i] = halves[i] << 16;
  }
  return out;
}

/** f32 elements as little-endian bytes of a dtype, rounded to nearest, ties to even. F32 gives a view. */
export function encodeFloats(values: Float32Array, dtype: Dtype): Uint8Array {
  if (dtype === 'F32') return new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
  const halves = new Uint16Array(values.length);
  const bits = new Uint32Array(values.buffer, values.byteOffset, values.length);
  if (dtype === 'F16') {
    for (let i = 0; i < bits.length; i++) halves[i] = halfBits(bits[i]);
  } else {
    for (let i = 0; i < values.length; i++) {
      const b = bits[i];
      const isNaN = (b & 0x7fffffff) > 0x7f800000;
      halves[i] = isNaN ? 0x7fc0 : (b + 0x7fff + ((b >>> 16) & 1)) >>> 16;
    }
  }
  return new Uint8Array(halves.buffer);
}
