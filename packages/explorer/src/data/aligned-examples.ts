import type { ExampleRow, FeatureIndex } from './feature-index.ts';
import { textAround } from './feature-page.ts';
import type { Segment } from './segments.ts';
import { highlightOf, type Highlight } from '../parts/tokens.ts';

/** An example of one feature, and what is known of the other feature in the same text. */
export interface AlignedExample {
  readonly segments: readonly Segment[];
  /** Undefined where it is not among the feature's examples: it may fire there all the same. */
  readonly a: Highlight | undefined;
  readonly b: Highlight | undefined;
}

const BEFORE = 24;
const AFTER = 24;
/** Examples of each feature that are laid side by side. */
const MOST = 12;

interface Side {
  readonly index: FeatureIndex;
  readonly latent: number;
}

/**
 * The strongest examples of two features of the same text. Where both have an example around the same tokens it is one
 * row; those come first, by the activation of the first feature, then the others of the first, then of the second.
 */
export async function alignExamples(a: Side, b: Side): Promise<AlignedExample[]> {
  const [ofA, ofB] = await Promise.all([exampleLists(a), exampleLists(b)]);
  const rows: { peak: number; a?: Highlight; b?: Highlight }[] = ofA.top.map((row) => ({
    peak: row.token_index,
    a: ofA.highlight(row),
    b: near(ofB, row.token_index, a.index),
  }));
  const shown = new Set(rows.filter(({ b: other }) => other).map((row) => row.b!.peak));
  for (const row of ofB.top)
    if (!shown.has(row.token_index))
      rows.push({ peak: row.token_index, a: near(ofA, row.token_index, b.index), b: ofB.highlight(row) });
  const both = rows.filter((row) => row.a && row.b);
  const ordered = [...both, ...rows.filter((row) => !(row.a && row.b))];
  return Promise.all(
    ordered.map(async ({ peak, a: first, b: second }) => ({
      segments: await textAround(a.index, peak, BEFORE, AFTER),
      a: first,
      b: second,
    })),
  );
}

/** The strongest examples of a feature, each in its own text. */
export async function ownExamples({ index, latent }: Side): Promise<AlignedExample[]> {
  const { top, highlight } = await exampleLists({ index, latent });
  return Promise.all(
    top.map(async (row) => ({
      segments: await textAround(index, row.token_index, BEFORE, AFTER),
      a: highlight(row),
      b: undefined,
    })),
  );
}

interface ExampleLists {
  readonly top: readonly ExampleRow[];
  readonly all: readonly ExampleRow[];
  highlight(row: ExampleRow): Highlight;
}

async function exampleLists({ index, latent }: Side): Promise<ExampleLists> {
  const [{ max_activation: max }, rows] = await Promise.all([index.feature(latent), index.examples(latent)]);
  return {
    top: rows.filter(({ group }) => group === 'top').slice(0, MOST),
    all: rows.filter(({ group }) => group !== 'near_miss'),
    highlight: (row) =>
      highlightOf(row.token_index, row.activation, row.near_offsets, row.near_activations, max),
  };
}

/** Where a feature fires around a token, if one of its examples is near enough to tell. */
function near(
  { all, highlight }: ExampleLists,
  token: number,
  { manifest }: FeatureIndex,
): Highlight | undefined {
  const { context_size: size } = manifest.corpus;
  const radius = manifest.examples.window_radius;
  const found = all.find(
    (row) =>
      Math.abs(row.token_index - token) <= radius &&
      Math.floor(row.token_index / size) === Math.floor(token / size),
  );
  return found && highlight(found);
}
