import { atomicWrite, sha256, writeAll } from '../formats/index.ts';
import type { TableRow } from './parquet-table.ts';
import { type DETAILS, type EXAMPLES, FEATURES, type IndexFile } from './schema.ts';
import { fromShort, toShort } from './short-float.ts';

/** Tokens with the largest logit weights. */
export const CARD_LOGITS = 4;
/** Tokens on each side of the peak of the first example. */
export const CARD_RADIUS = 8;

const FIGURES = Object.entries(FEATURES);
const SHORTS_AT = 4 * (FIGURES.length + 1 + CARD_LOGITS);
/** Bytes of a card, a multiple of 8. */
export const CARD_BYTES = Math.ceil((SHORTS_AT + 2 * (2 * CARD_RADIUS + 1)) / 8) * 8;
/** Cards that are put together before the next piece of memory is taken. */
const CARDS_PER_PIECE = 4096;

/** What a list shows of a latent beside its figures. */
export interface CardPreview {
  /** Tokens with the largest logit weights, at most {@link CARD_LOGITS}. */
  readonly top_logit_tokens: readonly number[];
  /** The peak of the first example, −1 without one. */
  readonly preview_token: number;
  /** Other firings within {@link CARD_RADIUS} tokens of it. */
  readonly preview_offsets: readonly number[];
  readonly preview_activations: readonly number[];
}

/** The figures of `features.parquet`, and what a list shows beside them. */
export type FeatureCard = { readonly [name in keyof typeof FEATURES]: number } & CardPreview;

/**
 * Writes `cards.bin`: of every latent a record of {@link CARD_BYTES}, so that a reader finds any of a million by
 * multiplying. Little-endian: the columns of `features.parquet` in their order (int32 or float), `preview_token`, the top
 * logit tokens (int32, −1 where there are fewer), and for the tokens from −8 to +8 around the peak two bytes, the upper half
 * of the activation's f32, 0 where the latent is silent and at the peak itself.
 */
export class CardWriter {
  readonly #pieces: Uint8Array[] = [];
  #nCards = 0;

  /** The card of the next latent, from its rows in the tables. */
  add(
    figures: TableRow<typeof FEATURES>,
    details: TableRow<typeof DETAILS>,
    first: TableRow<typeof EXAMPLES> | undefined,
  ): void {
    const place = this.#nCards++ % CARDS_PER_PIECE;
    if (place === 0) this.#pieces.push(new Uint8Array(CARDS_PER_PIECE * CARD_BYTES));
    const view = new DataView(this.#pieces.at(-1)!.buffer, place * CARD_BYTES, CARD_BYTES);
    let at = 0;
    for (const [name, type] of FIGURES) {
      const value = figures[name as keyof typeof FEATURES] as number;
      if (type === 'int32') view.setInt32(at, value, true);
      else view.setFloat32(at, value, true);
      at += 4;
    }
    const logits = details.top_logit_tokens as ArrayLike<number>;
    const tokens = Array.from({ length: CARD_LOGITS }, (_, i) => logits[i] ?? -1);
    for (const id of [(first?.token_index as number | undefined) ?? -1, ...tokens]) {
      view.setInt32(at, id, true);
      at += 4;
    }
    if (!first) return;
    const activations = first.near_activations as ArrayLike<number>;
    Array.from(first.near_offsets as ArrayLike<number>).forEach((offset, i) => {
      if (Math.abs(offset) > CARD_RADIUS) return;
      view.setUint16(at + 2 * (offset + CARD_RADIUS), toShort(activations[i]), true);
    });
  }

  /** @throws as {@link atomicWrite} */
  async finish(path: string): Promise<Omit<IndexFile, 'path'>> {
    const used = this.#nCards % CARDS_PER_PIECE || CARDS_PER_PIECE;
    const last = this.#pieces.length - 1;
    const pieces = this.#pieces.map((piece, i) =>
      i === last ? piece.subarray(0, used * CARD_BYTES) : piece,
    );
    await atomicWrite(path, async (file) => {
      for (const piece of pieces) await writeAll(file, piece);
    });
    return { bytes: this.#nCards * CARD_BYTES, sha256: sha256(...pieces), rows: this.#nCards };
  }
}

/** The cards in a piece of `cards.bin`. */
export function readCards(bytes: ArrayBuffer): FeatureCard[] {
  return Array.from({ length: bytes.byteLength / CARD_BYTES }, (_, i) =>
    readCard(new DataView(bytes, i * CARD_BYTES, CARD_BYTES)),
  );
}

function readCard(view: DataView): FeatureCard {
  const figures = Object.fromEntries(
    FIGURES.map(([name, type], i) => [
      name,
      type === 'int32' ? view.getInt32(4 * i, true) : view.getFloat32(4 * i, true),
    ]),
  );
  const id = (i: number) => view.getInt32(4 * (FIGURES.length + i), true);
  const tokens = Array.from({ length: CARD_LOGITS }, (_, i) => id(1 + i)).filter((token) => token >= 0);
  const offsets: number[] = [];
  const activations: number[] = [];
  for (let offset = -CARD_RADIUS; offset <= CARD_RADIUS; offset++) {
    const short = view.getUint16(SHORTS_AT + 2 * (offset + CARD_RADIUS), true);
    if (short === 0) continue;
    offsets.push(offset);
    activations.push(fromShort(short));
  }
  return {
    ...(figures as { readonly [name in keyof typeof FEATURES]: number }),
    preview_token: id(0),
    top_logit_tokens: tokens,
    preview_offsets: offsets,
    preview_activations: activations,
  };
}
