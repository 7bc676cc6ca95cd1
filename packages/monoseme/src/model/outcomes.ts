/** What is asked about edited activations. */
export interface OutcomeOptions {
  /**
   * Of each edited context, the context of the batch that it is a version of, [n]: any number of versions of
   * any of them, in any order. By default each context has one.
   */
  contexts?: Uint32Array;
  /**
   * Rows of the edited activations (edited context · contextSize + position) at which the tokens are listed
   * whose log-probability changed most. None by default.
   */
  rows?: Uint32Array;
  /** Tokens listed in each direction, at most the vocabulary; 10 by default. */
  topTokens?: number;
}

/**
 * What a model makes of edited activations, beside what it makes of its own. Everything is in nats. The lists
 * of tokens are [rows, top], the largest change first; ties go to the lower token.
 */
export interface Outcomes {
  /** Loss of each next token after the edit, [n, contextSize − 1]. */
  losses: Float32Array<ArrayBuffer>;
  /** The same without the edit, [n, contextSize − 1]. */
  originalLosses: Float32Array<ArrayBuffer>;
  /** KL(original ‖ edited) of the distributions of the next token, not below 0, [n, contextSize]. */
  divergences: Float32Array<ArrayBuffer>;
  /** 1 where the likeliest next token stayed the same (ties: the lowest), else 0, [n, contextSize]. */
  agreements: Uint8Array<ArrayBuffer>;
  /** Tokens whose log-probability the edit raised most, and by how much (below 0 where none rose). */
  raised: Uint32Array<ArrayBuffer>;
  raisedBy: Float32Array<ArrayBuffer>;
  /** Tokens whose log-probability the edit lowered most, and by how much (as negative numbers). */
  lowered: Uint32Array<ArrayBuffer>;
  loweredBy: Float32Array<ArrayBuffer>;
}
