import { throwIfAborted } from '../errors.ts';
import type { Explanation } from './explanations.ts';
import type { DetailsRow, EffectRow, ExampleRow, FeatureIndex, FeatureRow } from './open-feature-index.ts';

/** An example with the text around its peak, so that a reader needs no corpus. */
export interface ExampleInText extends ExampleRow {
  /** Place of `tokens[0]` in the corpus. */
  readonly firstToken: number;
  /** Tokens from `radius` before the peak to `radius` behind it, as far as they are of its context. */
  readonly tokens: Uint32Array;
  /** Activation of the latent on each of them. */
  readonly activations: Float32Array;
}

/** All that an index says of one latent. */
export interface FeatureRecord {
  readonly figures: FeatureRow;
  readonly details: DetailsRow;
  readonly examples: readonly ExampleInText[];
  readonly effects: readonly EffectRow[];
  readonly explanations: readonly Explanation[];
}

export interface FeatureRecordsOptions {
  /** Tokens of text on each side of a peak (default: as far as the index knows the activations). */
  readonly radius?: number;
  readonly signal?: AbortSignal;
  readonly onProgress?: (done: number, total: number) => void;
}

/**
 * All features of an index in order, read a row group at a time: every table is unpacked once, and memory holds some
 * 64 features whatever the size of the index.
 *
 * @throws {MonosemeError} ERR_FORMAT, ERR_FILE, ERR_INTERRUPTED
 */
export async function* featureRecords(
  index: FeatureIndex,
  { radius = index.details.examples.window_radius, signal, onProgress }: FeatureRecordsOptions = {},
): AsyncGenerator<FeatureRecord> {
  const { latents_per_row_group: step, latents_per_part: perPart } = index.details;
  let start = 0;
  while (start < index.dSae) {
    throwIfAborted(signal);
    const partEnd = (Math.floor(start / perPart) + 1) * perPart;
    const end = Math.min(start + step, partEnd, index.dSae);
    const [figures, details, examples, effects, explanations] = await Promise.all([
      index.features(start, end),
      index.detailsBetween(start, end),
      index.examplesBetween(start, end),
      index.effectsBetween(start, end),
      index.explanationsBetween(start, end),
    ]);
    const inText = await Promise.all(examples.map((example) => withText(index, example, radius)));
    const [examplesOf, effectsOf, toldOf] = [byLatent(inText), byLatent(effects), byLatent(explanations)];
    for (let i = 0; i < figures.length; i++) {
      const latent = start + i;
      yield {
        figures: figures[i],
        details: details[i],
        examples: examplesOf.get(latent) ?? [],
        effects: effectsOf.get(latent) ?? [],
        explanations: toldOf.get(latent) ?? [],
      };
      onProgress?.(latent + 1, index.dSae);
    }
    start = end;
  }
}

async function withText(index: FeatureIndex, example: ExampleRow, radius: number): Promise<ExampleInText> {
  const { token_index: peak, near_offsets: offsets, near_activations: near } = example;
  const { context_size: size } = index.details.corpus;
  const context = peak - (peak % size);
  const firstToken = Math.max(context, peak - radius);
  const tokens = await index.tokens(firstToken, Math.min(context + size, peak + radius + 1));
  const activations = new Float32Array(tokens.length);
  activations[peak - firstToken] = example.activation;
  offsets.forEach((offset, i) => {
    const at = peak + offset - firstToken;
    if (at >= 0 && at < activations.length) activations[at] = near[i];
  });
  return { ...example, firstToken, tokens, activations };
}

function byLatent<R extends { readonly latent_index: number }>(rows: readonly R[]): Map<number, R[]> {
  const groups = new Map<number, R[]>();
  for (const row of rows) {
    const group = groups.get(row.latent_index);
    if (group) group.push(row);
    else groups.set(row.latent_index, [row]);
  }
  return groups;
}
