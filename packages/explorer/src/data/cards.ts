import type { FeatureRow, FigureName } from 'monoseme/features';
import { IndexError } from './index-error.ts';
import type { RemoteFile } from './remote-file.ts';

/** The figures of a card in their order (docs/feature-index.md); those of INTEGERS are whole numbers. */
const FIGURES = [
  'latent_index',
  'n_fired',
  'density',
  'density_low',
  'density_high',
  'n_contexts',
  'max_activation',
  'mean_activation',
  'std_activation',
  'skewness',
  'kurtosis',
  'median_activation',
  'top_token',
  'top_token_share',
  'encoder_bias',
  'encoder_decoder_cosine',
  'decoder_norm',
  'nearest_cosine',
  'max_logit',
  'min_logit',
  'logit_kurtosis',
  'map_x',
  'map_y',
  'cluster',
  'mean_loss_change',
  'mean_kl',
] as const satisfies readonly FigureName[];
/** Those that are whole numbers. */
const INTEGERS = new Set<string>(['latent_index', 'n_fired', 'n_contexts', 'top_token', 'cluster']);
const LOGITS = 4;
const RADIUS = 8;
const SHORTS_AT = 4 * (FIGURES.length + 1 + LOGITS);
const CARD_BYTES = Math.ceil((SHORTS_AT + 2 * (2 * RADIUS + 1)) / 8) * 8;
/** Cards that one read brings: those beside the one that is asked for are often next. */
const PER_BLOCK = 32;
const MOST_BLOCKS = 1024;

/** One figure of all features, as precise as the file has it. */
export type Figures = Int32Array | Float32Array;

/** Room for one figure of `n` features. */
export function figuresFor(name: FigureColumn, n: number): Figures {
  return INTEGERS.has(name) ? new Int32Array(n) : new Float32Array(n);
}

export type FigureColumn = Exclude<FigureName, 'latent_index'>;

/** `cards.bin`: a record of one length for every feature. */
export class Cards {
  readonly #file: RemoteFile;
  readonly #nFeatures: number;
  readonly #blocks = new Map<number, Promise<ArrayBuffer>>();

  constructor(file: RemoteFile, nFeatures: number) {
    this.#file = file;
    this.#nFeatures = nFeatures;
  }

  async of(latent: number): Promise<FeatureRow> {
    const block = Math.floor(latent / PER_BLOCK);
    const bytes = await this.#block(block);
    const card = readCard(new DataView(bytes, (latent - block * PER_BLOCK) * CARD_BYTES, CARD_BYTES));
    if (card.latent_index === latent) return card;
    throw new IndexError(
      'A file of the index is damaged',
      `cards.bin has feature ${card.latent_index} where ${latent} should stand.`,
      'Copy or build the index again.',
    );
  }

  #block(block: number): Promise<ArrayBuffer> {
    let bytes = this.#blocks.get(block);
    if (!bytes) {
      const start = block * PER_BLOCK;
      const end = Math.min(this.#nFeatures, start + PER_BLOCK);
      bytes = this.#file.slice(start * CARD_BYTES, end * CARD_BYTES);
      bytes.catch(() => this.#blocks.delete(block));
      this.#blocks.set(block, bytes);
      if (this.#blocks.size > MOST_BLOCKS) this.#blocks.delete(this.#blocks.keys().next().value!);
    }
    return bytes;
  }
}

function readCard(view: DataView): FeatureRow {
  const figures = Object.fromEntries(
    FIGURES.map((name, i) => [
      name,
      INTEGERS.has(name) ? view.getInt32(4 * i, true) : view.getFloat32(4 * i, true),
    ]),
  ) as { readonly [name in FigureName]: number };
  const id = (i: number) => view.getInt32(4 * (FIGURES.length + i), true);
  const top_logit_tokens = Array.from({ length: LOGITS }, (_, i) => id(1 + i)).filter((token) => token >= 0);
  const preview_offsets: number[] = [];
  const preview_activations: number[] = [];
  const bits = new DataView(new ArrayBuffer(4));
  for (let offset = -RADIUS; offset <= RADIUS; offset++) {
    const short = view.getUint16(SHORTS_AT + 2 * (offset + RADIUS), true);
    if (short === 0) continue;
    // The upper half of an f32.
    bits.setUint16(0, short);
    preview_offsets.push(offset);
    preview_activations.push(bits.getFloat32(0));
  }
  return { ...figures, preview_token: id(0), preview_offsets, preview_activations, top_logit_tokens };
}
