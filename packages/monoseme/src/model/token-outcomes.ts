import { MonosemeError } from '../errors.ts';
import type { Outcomes } from './outcomes.ts';
import type { Axis } from './tensor-shapes.ts';

/** Edits of single tokens, each on its own. */
export interface TokenEdits {
  /** [n]: rows of the batch (context · contextSize + position). */
  readonly rows: Uint32Array;
  /** [n]: the next token of each. */
  readonly targets: Uint32Array;
  /** [n, dIn]: the edited activations of those rows. */
  readonly edited: Float32Array;
  /** Tokens listed in each direction. */
  readonly topTokens: number;
}

/**
 * What each edit does at its own token, in nats. The lists hold the tokens whose probability moves most, with the
 * change of their log-probability.
 */
export type TokenOutcomes = Pick<Outcomes, 'raised' | 'raisedBy' | 'lowered' | 'loweredBy'> & {
  /** Loss of the next token with the edit minus without, [n]. */
  readonly lossChanges: Float32Array<ArrayBuffer>;
  /** KL(original ‖ edited) of the next token, not below 0, [n]. */
  readonly divergences: Float32Array<ArrayBuffer>;
};

/** Whether a tensor has one entry for each token, at its start, or does not depend on the tokens at all. */
export function isPerToken(shape: readonly Axis[]): boolean {
  const named = shape.filter((axis) => typeof axis !== 'number').join();
  return named === '' || named === 'batch,sequence' || (named === 'batch*sequence' && shape[0] === named);
}

/** The error for a model in which single tokens cannot be run on their own. */
export function notPerToken(what: string): MonosemeError {
  return new MonosemeError(
    'ERR_MODEL',
    `Behind this hook single tokens cannot be run on their own: ${what}.`,
    'Edit whole contexts.',
  );
}
