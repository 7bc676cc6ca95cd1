export { Buffers } from './buffers.ts';
export { expectLength, expectFinite, expectPositiveInteger } from './expect.ts';
export { type Dtype, bytesPerElement, decodeFloats, encodeFloats } from './dtype.ts';
