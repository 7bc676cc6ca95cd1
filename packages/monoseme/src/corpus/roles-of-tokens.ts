import { MonosemeError } from '../errors.ts';
import type { RoleSpan } from './document.ts';
import type { Tokenizer } from './tokenizer.ts';

/** Role of each token of a text, as an index into the names: text that is no conversation, its markup, or who speaks. */
export interface TokenRoles {
  readonly names: readonly string[];
  readonly of: Uint8Array;
}

/** Index of the tokens of documents that are no conversations. */
export const NO_ROLE = 0;
/** Index of what a chat template adds. */
const MARKUP = 1;
/** The role of a token that frames a document. */
export const asMarkup = (): number => MARKUP;

const MAX_ROLES = 256;

/** A token that is not where it should be is sought so many bytes further: white space and marks that were dropped. */
const SEARCHED_BYTES = 64;

/** Numbers the roles of a corpus in the order in which they come. */
export class RoleNames {
  readonly names: string[] = ['none', 'template'];

  /**
   * The roles [tokens] of a conversation's tokens: a token has the role of the character in which it begins, white space
   * before a word left aside. Where a tokenizer rewrites text (lower case, unknown pieces), a token that is not found
   * has the role of the one before it.
   *
   * @throws {MonosemeError} ERR_LIMIT for more than 254 roles
   */
  ofTokens(tokenizer: Tokenizer, ids: Uint32Array, text: string, spans: readonly RoleSpan[]): Uint8Array {
    const bytes = Buffer.from(text);
    const starts = tokenStarts(tokenizer, ids, bytes);
    const roles = new Uint8Array(ids.length).fill(MARKUP);
    let token = 0;
    let units = 0;
    let at = 0;
    const byteOf = (unit: number) => {
      at += Buffer.byteLength(text.slice(units, unit));
      units = unit;
      return at;
    };
    for (const { role, start, end } of spans) {
      const index = this.#indexOf(role);
      const from = byteOf(start);
      const to = byteOf(end);
      while (token < ids.length && starts[token] < from) token++;
      for (; token < ids.length && starts[token] < to; token++) roles[token] = index;
    }
    return roles;
  }

  #indexOf(role: string): number {
    const known = this.names.indexOf(role);
    if (known >= 0) return known;
    if (this.names.length === MAX_ROLES)
      throw new MonosemeError(
        'ERR_LIMIT',
        `The conversations have more than ${MAX_ROLES - 2} roles, "${role.slice(0, 40)}" among them.`,
        'Check that "role" says who speaks.',
      );
    return this.names.push(role) - 1;
  }
}

const SPACE = 32;

/** The byte in which each token begins, its own white space left aside; never falling. */
function tokenStarts(tokenizer: Tokenizer, ids: Uint32Array, text: Buffer): Uint32Array {
  const starts = new Uint32Array(ids.length);
  let at = 0;
  ids.forEach((id, i) => {
    const token = tokenizer.tokenBytes(id);
    const spaces = token.findIndex((byte) => byte !== SPACE);
    const word = spaces > 0 ? token.subarray(spaces) : token;
    const found = text.subarray(at, at + token.length + SEARCHED_BYTES).indexOf(word);
    starts[i] = found < 0 ? Math.max(0, at - 1) : at + found;
    if (found >= 0) at += found + word.length;
  });
  return starts;
}
