import { type Architecture, type ArchitectureSettings, standard } from '../dictionary/index.ts';
import type { TrainState } from './parameters.ts';

/** What a step may hold beyond weights, moments and batch: this and a tenth of the weights. */
const LIMIT_BYTES = 64 << 20;

/** Of that, what is not of residuals and not of the encoder in 8 bits. */
const OTHER_BYTES = 34 << 20;

/** Of the weights, what is screened where that is not left, unless pairs and buffers take the room for twice as much too. */
const LEAST_SCREENED = 0.03;

/** Of each active pair: its latent, value, product, coefficients of both gradients, and transposed, its row and place. */
const PAIR_BYTES = 40;

/** Buffers of threads and vectors of the latents. */
const BUFFER_BYTES = 6 << 20;

export interface StepMemory {
  /** For the encoder in 8 bits: the first latents alone have one where it would be larger, none where there is no room. */
  readonly screenedBytes: number;
  /** Residuals that are held at once: those of nested reconstructions, and what AuxK leaves. */
  readonly nHeld: number;
}

/**
 * How a step stays within its memory. Residuals are as large as the target: one array of a reconstruction, and one of AuxK;
 * beside them is what a skip connection is multiplied into.
 * Of nested reconstructions that can be worked out in turns as many are held as there is room for, at least one beside AuxK's.
 */
export function stepMemory(
  { encoder, decoder, skip, dOut, screened }: TrainState,
  nRows: number,
  { wider }: Architecture = standard,
  { auxCoefficient = 0, k = 0 }: ArchitectureSettings = {},
): StepMemory {
  const ofSkip = skip?.weights.byteLength ?? 0;
  const weights = encoder.weights.byteLength + decoder.weights.byteLength + ofSkip;
  const limit = 0.1 * weights + LIMIT_BYTES;
  const residuals = 4 * nRows * dOut;
  const aux = Math.sign(auxCoefficient);
  const arrays = ((wider ? 2 : 1) + aux) * residuals + ofSkip;
  const pairs = ((wider ?? 1) + aux) * PAIR_BYTES * k * nRows;
  const least = LEAST_SCREENED * weights;
  const hasRoom = limit - arrays - pairs - BUFFER_BYTES > 2 * least;
  const screenedBytes = Math.max(hasRoom ? least : 0, limit - OTHER_BYTES - arrays);
  const left = limit - (screened?.bytes.byteLength ?? 0) - pairs - BUFFER_BYTES;
  return { screenedBytes, nHeld: Math.max(1 + aux, Math.floor(left / residuals)) };
}
