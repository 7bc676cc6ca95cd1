import type {
  DetailsRow,
  DocumentRow,
  EffectRow,
  ExampleRow,
  ExplanationRow,
  FeatureIndex,
  FeatureRow,
} from './feature-index.ts';
import { type Segment, segmentsOf } from './segments.ts';

/** Tokens of text that are read around an example, on each side. */
export const TEXT_BEFORE = 72;
export const TEXT_AFTER = 56;

export interface Example {
  readonly row: ExampleRow;
  /** Text around the peak, cut at the ends of its context. */
  readonly segments: readonly Segment[];
  readonly document: DocumentRow | undefined;
}

export interface FeaturePage {
  readonly latent: number;
  readonly feature: FeatureRow;
  readonly details: DetailsRow;
  /** In the order of reading. */
  readonly examples: readonly Example[];
  /** Causal effects by corpus index. */
  readonly effects: ReadonlyMap<number, EffectRow>;
  readonly explanations: readonly ExplanationRow[];
}

export async function loadFeature(index: FeatureIndex, latent: number): Promise<FeaturePage> {
  const [feature, details, rows, effects, explanations] = await Promise.all([
    index.feature(latent),
    index.details(latent),
    index.examples(latent),
    index.effects(latent),
    index.explanations(latent),
  ]);
  const examples = await Promise.all(rows.map((row) => loadExample(index, row)));
  const byToken = new Map(effects.map((row) => [row.token_index, row]));
  return { latent, feature, details, examples, effects: byToken, explanations };
}

async function loadExample(index: FeatureIndex, row: ExampleRow): Promise<Example> {
  const [segments, document] = await Promise.all([
    textAround(index, row.token_index, TEXT_BEFORE, TEXT_AFTER),
    index.documentAt(row.token_index),
  ]);
  return { row, segments, document };
}

/** Text from `before` tokens before a token to `after` behind it, as far as its context goes. */
export async function textAround(
  index: FeatureIndex,
  token: number,
  before: number,
  after: number,
): Promise<Segment[]> {
  // A few tokens more, so that no character is cut at the ends.
  const { start, tokens } = await index.corpus.around(token, before + 3, after + 3);
  return segmentsOf(tokens, start, index.vocabulary).filter(
    ({ position }) => position >= token - before && position <= token + after,
  );
}
