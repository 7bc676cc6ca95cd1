import type { TokenSink } from './token-text.ts';

export interface ContextForm {
  readonly contextSize: number;
  /** Whether a context holds tokens of one document only. */
  readonly byDocument: boolean;
  /** What each context begins with: one token or none. */
  readonly beginContext: readonly number[];
}

/** Cuts documents into contexts as they come, up to a limit of tokens. */
export class ContextRows {
  /** Tokens so far. */
  length = 0;
  readonly #limit: number;
  readonly #form: ContextForm;
  readonly #sink: TokenSink;

  /** @param sink takes the tokens */
  constructor(limit: number, form: ContextForm, sink: TokenSink) {
    this.#limit = limit;
    this.#form = form;
    this.#sink = sink;
  }

  /** Add the tokens of a document, as many as the limit allows, and their roles when it has any. */
  add(ids: Uint32Array, roles?: Uint8Array): void {
    const { contextSize, byDocument, beginContext } = this.#form;
    for (let at = 0; at < ids.length && this.length < this.#limit;) {
      const isStart = this.length % contextSize === 0;
      // A document that begins the context with the same token does not get it twice.
      const first = isStart && ids[at] !== beginContext[0] ? beginContext : [];
      const room = contextSize - (this.length % contextSize) - first.length;
      const taken = ids.subarray(at, at + room);
      if (byDocument && taken.length < room) return;
      this.#append(first);
      this.#append(taken, roles?.subarray(at, at + room));
      at += taken.length;
    }
  }

  #append(ids: Uint32Array | readonly number[], roles?: Uint8Array): void {
    this.#sink.add(ids, roles);
    this.length += ids.length;
  }
}
