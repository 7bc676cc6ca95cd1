import { createHash } from 'node:crypto';

/**
 * A set of texts of which 64 bits of a hash are kept: some 16 bytes a text, whatever its length. Among a hundred
 * million texts the chance that any two different ones are taken for the same is under one in a thousand (n² / 2⁶⁵).
 */
export class SeenTexts {
  /** Open addressing with linear probing; 0 marks a free place. */
  #table = new BigUint64Array(2 ** 12);
  #size = 0;

  /** Add a text. Returns whether it was new. */
  add(text: string): boolean {
    if (this.#size * 2 >= this.#table.length) this.#grow();
    if (!insert(this.#table, hash64(text))) return false;
    this.#size++;
    return true;
  }

  #grow(): void {
    const larger = new BigUint64Array(this.#table.length * 2);
    for (const hash of this.#table) if (hash !== 0n) insert(larger, hash);
    this.#table = larger;
  }
}

/** Whether the hash was new. */
function insert(table: BigUint64Array, hash: bigint): boolean {
  const mask = table.length - 1;
  for (let at = Number(hash & 0xffffffffn) & mask; ; at = (at + 1) & mask) {
    if (table[at] === hash) return false;
    if (table[at] !== 0n) continue;
    table[at] = hash;
    return true;
  }
}

function hash64(text: string): bigint {
  const hash = createHash('sha256').update(text).digest().readBigUInt64LE(0);
  return hash === 0n ? 1n : hash;
}
