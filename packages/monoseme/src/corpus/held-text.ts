import type { DocumentSpan, TokenSet, TokenSink } from './token-text.ts';
import { documentsWithin } from './token-text.ts';

/** Tokens held before it is known how many there will be. */
const FIRST_CAPACITY = 2 ** 24;

/** A text that is read into memory, up to a limit of tokens, and the roles of its tokens once one is given. */
export class HeldText implements TokenSink {
  readonly #limit: number;
  readonly #documents: DocumentSpan[] = [];
  #tokens: Uint32Array;
  #roles: Uint8Array | undefined;
  #length = 0;

  constructor(limit: number) {
    this.#limit = limit;
    this.#tokens = new Uint32Array(Math.min(limit, FIRST_CAPACITY));
  }

  add(ids: Uint32Array | readonly number[], roles?: Uint8Array): void {
    if (this.#length + ids.length > this.#tokens.length) {
      const capacity = Math.min(this.#limit, 2 * (this.#length + ids.length));
      this.#tokens = grown(this.#tokens, new Uint32Array(capacity));
      if (this.#roles) this.#roles = grown(this.#roles, new Uint8Array(capacity));
    }
    this.#tokens.set(ids, this.#length);
    // Where nothing is set there is no role (NO_ROLE, 0).
    if (roles) (this.#roles ??= new Uint8Array(this.#tokens.length)).set(roles, this.#length);
    this.#length += ids.length;
  }

  addDocument(span: DocumentSpan): void {
    this.#documents.push(span);
  }

  /** The first `total` tokens, whole contexts. @param roleNames by their index; not read where no token has a role */
  take(total: number, contextSize: number, roleNames: readonly string[] = []): TokenSet {
    return {
      tokens: total === this.#tokens.length ? this.#tokens : this.#tokens.slice(0, total),
      contextSize,
      nContexts: total / contextSize,
      documents: [...documentsWithin(this.#documents, total)],
      ...(this.#roles && { roles: { names: roleNames, of: this.#roles.slice(0, total) } }),
    };
  }
}

function grown<T extends Uint32Array | Uint8Array>(from: T, to: T): T {
  to.set(from);
  return to;
}
