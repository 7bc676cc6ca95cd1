import { MonosemeError } from '../errors.ts';
import type { Edit, HookedActivations } from '../model/index.ts';
import { Random, hashSeed } from '../random/index.ts';
import { expectLength } from '../tensor/index.ts';

/** The rows that an edit changes, by place; all where none is given. */
export type Where = (position: number, context: number) => boolean;

/**
 * The rows of activations that have one for each token, with their places.
 *
 * @returns width of a row, and the numbers of the chosen rows
 * @throws {MonosemeError} ERR_HOOK for another layout, an attention pattern's say
 */
export function chosenRows(activations: HookedActivations, where?: Where): { dIn: number; rows: number[] } {
  const { dims, tokens, contextSize, nBefore, hookName, values } = activations;
  const nRows = tokens.length || dims[0] * contextSize;
  const perToken =
    tokens.length === 0 || (dims[0] * contextSize === nRows && dims[1] === contextSize) || dims[0] === nRows;
  if (!perToken)
    throw new MonosemeError(
      'ERR_HOOK',
      `${hookName} has the sizes [${dims.join(', ')}], not one row per token.`,
      'Choose a tensor [batch, sequence, …].',
    );
  const rows = Array.from({ length: nRows }, (_, row) => row).filter(
    (row) => where?.(nBefore + (row % contextSize), Math.floor(row / contextSize)) ?? true,
  );
  return { dIn: values.length / nRows, rows };
}

/** An edit of each row by itself. */
export const byRow = (edit: Edit): Edit => Object.assign(edit, { byRow: true });

/** x ← 0 */
export function zero(where?: Where): Edit {
  return byRow((activations) => {
    const { dIn, rows } = chosenRows(activations, where);
    for (const row of rows) activations.values.fill(0, row * dIn, (row + 1) * dIn);
  });
}

/** x ← replacement [dIn]: the mean activation, for mean-ablation. */
export function replace(replacement: Float32Array, where?: Where): Edit {
  return byRow((activations) => {
    const { dIn, rows } = chosenRows(activations, where);
    expectLength('The replacement', replacement, dIn);
    for (const row of rows) activations.values.set(replacement, row * dIn);
  });
}

/**
 * x ← a row of `pool` [n, dIn], drawn anew for each place: resample-ablation. What is drawn depends on the seed
 * and the place alone.
 */
export function resample(pool: Float32Array, seed: number, where?: Where): Edit {
  return byRow((activations) => {
    const { contextSize, nBefore, values } = activations;
    const { dIn, rows } = chosenRows(activations, where);
    const nPool = Math.floor(pool.length / dIn);
    expectLength('The pool', pool, Math.max(1, nPool), dIn);
    for (const row of rows) {
      const place = [Math.floor(row / contextSize), nBefore + (row % contextSize)];
      const stream = hashSeed(seed, 'resample', ...place);
      const from = new Random(stream).integer(nPool) * dIn;
      values.set(pool.subarray(from, from + dIn), row * dIn);
    }
  });
}

/** x ← x + scale · direction [dIn] */
export function addDirection(direction: Float32Array, scale: number, where?: Where): Edit {
  return byRow((activations) => {
    const { dIn, rows } = chosenRows(activations, where);
    expectLength('The direction', direction, dIn);
    for (const row of rows) {
      for (let i = 0; i < dIn; i++) activations.values[row * dIn + i] += scale * direction[i];
    }
  });
}
