import type {
  DetailsRow,
  DocumentRow,
  EffectRow,
  ExampleRow,
  ExplanationRow,
  FeatureIndex,
  FeatureRow,
} from './feature-index.ts';
import { type IndexError, toIndexError } from './index-error.ts';
import { type Segment, segmentsOf } from './segments.ts';

/** Tokens of text that are read around an example, on each side. */
export const TEXT_BEFORE = 72;
export const TEXT_AFTER = 56;
/** Places of a sample of arrays that are read on each side. */
const MOST_PLACES = 512;

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
  /** Why the text of the examples cannot be shown; then their segments are empty. */
  readonly textProblem: IndexError | undefined;
}

/** Pages that are kept: the one that is read, those beside it, and some that were read before. */
const MOST_KEPT = 8;
const kept = new WeakMap<FeatureIndex, Map<number, Promise<FeaturePage>>>();

/** What the index knows of a feature; read beforehand for a neighbour, it is there at once. */
export function loadFeature(index: FeatureIndex, latent: number): Promise<FeaturePage> {
  const pages = kept.get(index) ?? new Map<number, Promise<FeaturePage>>();
  kept.set(index, pages);
  const page = pages.get(latent) ?? readFeature(index, latent);
  // The last one asked for is the last to be forgotten.
  pages.delete(latent);
  pages.set(latent, page);
  page.then(
    ({ textProblem }) => textProblem && pages.delete(latent),
    () => pages.delete(latent),
  );
  if (pages.size > MOST_KEPT) pages.delete(pages.keys().next().value!);
  return page;
}

async function readFeature(index: FeatureIndex, latent: number): Promise<FeaturePage> {
  const [feature, details, rows, effects, explanations] = await Promise.all([
    index.feature(latent),
    index.details(latent),
    index.examples(latent),
    index.effects(latent),
    index.explanations(latent),
  ]);
  let textProblem: IndexError | undefined;
  const examples = await Promise.all(rows.map((row) => loadExample(index, row))).catch((error: unknown) => {
    textProblem = toIndexError(error);
    return rows.map((row): Example => ({ row, segments: [], document: undefined }));
  });
  const byToken = new Map(effects.map((row) => [row.token_index, row]));
  return { latent, feature, details, examples, effects: byToken, explanations, textProblem };
}

async function loadExample(index: FeatureIndex, row: ExampleRow): Promise<Example> {
  // A sample of arrays is shown whole, where it is not too large for that.
  const size = index.manifest.corpus.axes ? Math.min(MOST_PLACES, index.corpus.contextSize) : 0;
  const [segments, document] = await Promise.all([
    textAround(index, row.token_index, Math.max(size, TEXT_BEFORE), Math.max(size, TEXT_AFTER)),
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
