export { Buffers } from './buffers.ts';
export { allFinite, expectLength, expectFinite, expectPositiveInteger } from './expect.ts';
export { type Dtype, bytesPerElement, decodeFloats, encodeFloats } from './dtype.ts';
