import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';

/** Checksums of a shard, in hexadecimal digits. */
export interface ShardSums {
  /** SHA-256 of its tensors, one after the other. */
  readonly sha256: string;
  /** Of each tensor, by name: the CRC-32 of each of its chunks, eight digits each, in order. */
  readonly crc32: Readonly<Record<string, string>>;
}

/**
 * Takes a shard's tensors, chunk by chunk, and sums them up: as a whole, which says whether a shard is the one that was
 * written, and by chunk, so that a reader of a few chunks need not read the shard to know that they are whole.
 */
export class ShardSummer {
  readonly #sha256 = createHash('sha256');
  readonly #crc32: Record<string, string> = {};

  /** The next chunk of a tensor, in pieces that follow each other. */
  add(tensor: string, pieces: readonly Uint8Array[]): void {
    let crc = 0;
    for (const piece of pieces) {
      this.#sha256.update(piece);
      crc = crc32(piece, crc);
    }
    this.#crc32[tensor] = (this.#crc32[tensor] ?? '') + digits(crc);
  }

  end(): ShardSums {
    return { sha256: this.#sha256.digest('hex'), crc32: this.#crc32 };
  }
}

/** Whether bytes are those of a chunk by the sums of its tensor. */
export function isChunk(bytes: Uint8Array, sums: string | undefined, chunk: number): boolean {
  return sums?.slice(DIGITS * chunk, DIGITS * (chunk + 1)) === digits(crc32(bytes));
}

/** Pieces that follow each other, cut after every `bytes` bytes. */
export function* cutPieces(pieces: readonly Uint8Array[], bytes: number): Generator<Uint8Array[]> {
  let [chunk, left]: [Uint8Array[], number] = [[], bytes];
  for (const piece of pieces) {
    for (let at = 0; at < piece.length;) {
      const part = piece.subarray(at, at + left);
      chunk.push(part);
      at += part.length;
      left -= part.length;
      if (left > 0) continue;
      yield chunk;
      [chunk, left] = [[], bytes];
    }
  }
  if (chunk.length > 0) yield chunk;
}

const DIGITS = 8;
const digits = (crc: number): string => crc.toString(16).padStart(DIGITS, '0');
