import { NO_ROLE } from './roles-of-tokens.ts';

/** Tokens held before it is known how many there will be. */
const FIRST_CAPACITY = 2 ** 24;

export interface ContextForm {
  readonly contextSize: number;
  /** Whether a context holds tokens of one document only. */
  readonly byDocument: boolean;
  /** What each context begins with: one token or none. */
  readonly beginContext: readonly number[];
}

/** Contexts as they fill, up to a limit of tokens, and the roles of their tokens once one is given. */
export class ContextRows {
  /** Tokens so far. */
  length = 0;
  #tokens: Uint32Array;
  #roles: Uint8Array | undefined;
  readonly #limit: number;
  readonly #form: ContextForm;

  constructor(limit: number, form: ContextForm) {
    this.#limit = limit;
    this.#form = form;
    this.#tokens = new Uint32Array(Math.min(limit, FIRST_CAPACITY));
  }

  /** Add the tokens of a document, as many as the limit allows, and their roles when it has any. */
  add(ids: Uint32Array, roles?: Uint8Array): void {
    const { contextSize, byDocument, beginContext } = this.#form;
    if (roles) this.#roles ??= new Uint8Array(this.#tokens.length).fill(NO_ROLE);
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

  /** The first `total` tokens. */
  take(total: number): Uint32Array {
    return total === this.#tokens.length ? this.#tokens : this.#tokens.slice(0, total);
  }

  /** Their roles; undefined when no document has any. */
  takeRoles(total: number): Uint8Array | undefined {
    return this.#roles?.slice(0, total);
  }

  #append(ids: ArrayLike<number>, roles?: Uint8Array): void {
    if (this.length + ids.length > this.#tokens.length) {
      const capacity = Math.min(this.#limit, 2 * (this.length + ids.length));
      this.#tokens = grown(this.#tokens, new Uint32Array(capacity));
      if (this.#roles) this.#roles = grown(this.#roles, new Uint8Array(capacity));
    }
    this.#tokens.set(ids, this.length);
    if (roles) this.#roles?.set(roles, this.length);
    this.length += ids.length;
  }
}

function grown<T extends Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
