const scratchFloat = new Float32Array(1);
const scratchBits = new Uint32Array(scratchFloat.buffer);

/**
 * An f32 rounded to 16 significant bits (relative error under 2^−16): its lowest byte is zero, which costs nothing on
 * disk once floats are split into byte streams.
 */
export function short(value: number): number {
  scratchFloat[0] = value;
  scratchBits[0] = (scratchBits[0] + 0x80) & 0xffffff00;
  return scratchFloat[0];
}

export function shorts(values: Float32Array | undefined): ArrayLike<number> {
  return values ? values.map(short) : [];
}
