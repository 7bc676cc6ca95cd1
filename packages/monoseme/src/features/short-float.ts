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

/**
 * The upper half of a positive f32, rounded to nearest: two bytes, never 0. Relative error at most 2^−8 (0.4 %), over the
 * whole range of f32: unlike f16 it does not care how large a model's activations are.
 */
export function toShort(value: number): number {
  scratchFloat[0] = value;
  // The largest finite f32 would round up to infinity, and a very small one to "does not fire".
  return Math.min(0x7f7f, Math.max(1, (scratchBits[0] + 0x8000) >>> 16));
}

export function fromShort(short: number): number {
  scratchBits[0] = short << 16;
  return scratchFloat[0];
}

/** Figures of 0 or more that are not known better than to 0.4 %: two of their four bytes are zero, and cost nothing. */
export function rough(value: number): number {
  return value === 0 ? 0 : fromShort(toShort(value));
}

/** All but the 6 highest significant bits of a positive f32. */
const COARSE = 0x3ffff;

/** A positive f32 rounded to 6 significant bits: relative error at most 1.6 %. */
function coarse(value: number): number {
  scratchFloat[0] = value;
  scratchBits[0] = Math.min(0x7f7c0000, (scratchBits[0] + (COARSE + 1) / 2) & ~COARSE);
  return scratchFloat[0] || value;
}

/**
 * Activations beside a peak to 6 significant bits, of which the latents of a row group have a few hundred different ones.
 * None becomes as large as the peak by rounding, or as the latent's largest: the next smaller number stands for it.
 */
export function besidePeak(activations: readonly number[], peak: number, largest: number): number[] {
  return activations.map((value) =>
    // They are known to 0.4 % (see toShort).
    Math.min(coarse(value), coarseBelow(value <= peak * (1 + 2 ** -8) ? peak : largest)),
  );
}

function coarseBelow(value: number): number {
  scratchFloat[0] = value;
  scratchBits[0] = (scratchBits[0] - 1) & ~COARSE;
  return scratchFloat[0] || value;
}
