import type { ExampleRow, FeatureIndex } from './feature-index.ts';
import { textAround } from './feature-page.ts';
import type { Segment } from './segments.ts';
import { highlightOf, type Highlight } from '../parts/tokens.ts';

/** A text as the tokens of one index have it. */
export interface ExampleText {
  readonly segments: readonly Segment[];
  /** The token that both sides are about. */
  readonly peak: number;
  /** Undefined where it is not among the feature's examples: it may fire there all the same. */
  readonly highlight: Highlight | undefined;
}

/** An example of one feature, and what is known of the other feature in the same text. */
export interface AlignedExample {
  readonly a: ExampleText;
  /** Undefined where the other index does not have this text. */
  readonly b: ExampleText | undefined;
}

/** The place of a token of one index in the other; undefined where it has none. */
export interface TextPlaces {
  readonly inB: (token: number) => Promise<number | undefined>;
  readonly inA: (token: number) => Promise<number | undefined>;
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
export async function alignExamples(a: Side, b: Side, places: TextPlaces): Promise<AlignedExample[]> {
  const [ofA, ofB] = await Promise.all([exampleLists(a), exampleLists(b)]);
  const rows: { a: Place; b: Place | undefined }[] = await Promise.all(
    ofA.top.map(async (row) => {
      const token = await places.inB(row.token_index);
      return {
        a: { token: row.token_index, highlight: ofA.highlight(row) },
        b: token === undefined ? undefined : { token, highlight: near(ofB, token) },
      };
    }),
  );
  const shown = new Set(rows.flatMap((row) => row.b?.highlight?.peak ?? []));
  for (const row of ofB.top) {
    const token = shown.has(row.token_index) ? undefined : await places.inA(row.token_index);
    if (token === undefined) continue;
    rows.push({
      a: { token, highlight: near(ofA, token) },
      b: { token: row.token_index, highlight: ofB.highlight(row) },
    });
  }
  const isOfBoth = (row: (typeof rows)[number]) => row.a.highlight && row.b?.highlight;
  const ordered = [...rows.filter(isOfBoth), ...rows.filter((row) => !isOfBoth(row))];
  return Promise.all(
    ordered.map(async (row) => ({
      a: await textAt(a.index, row.a),
      b: row.b && (await textAt(b.index, row.b)),
    })),
  );
}

/** The strongest examples of a feature, each in its own text. */
export async function ownExamples({ index, latent }: Side): Promise<AlignedExample[]> {
  const { top, highlight } = await exampleLists({ index, latent });
  return Promise.all(
    top.map(async (row) => ({
      a: await textAt(index, { token: row.token_index, highlight: highlight(row) }),
      b: undefined,
    })),
  );
}

interface Place {
  readonly token: number;
  readonly highlight: Highlight | undefined;
}

async function textAt(index: FeatureIndex, { token, highlight }: Place): Promise<ExampleText> {
  return { segments: await textAround(index, token, BEFORE, AFTER), peak: token, highlight };
}

interface ExampleLists {
  readonly index: FeatureIndex;
  readonly top: readonly ExampleRow[];
  readonly all: readonly ExampleRow[];
  highlight(row: ExampleRow): Highlight;
}

async function exampleLists({ index, latent }: Side): Promise<ExampleLists> {
  const [{ max_activation: max }, rows] = await Promise.all([index.feature(latent), index.examples(latent)]);
  return {
    index,
    top: rows.filter(({ group }) => group === 'top').slice(0, MOST),
    all: rows.filter(({ group }) => group !== 'near_miss'),
    highlight: (row) =>
      highlightOf(row.token_index, row.activation, row.near_offsets, row.near_activations, max),
  };
}

/** Where a feature fires around a token, if one of its examples is near enough to tell. */
function near({ index, all, highlight }: ExampleLists, token: number): Highlight | undefined {
  const { corpus, examples } = index.manifest;
  const { context_size: size } = corpus;
  const found = all.find(
    (row) =>
      Math.abs(row.token_index - token) <= examples.window_radius &&
      Math.floor(row.token_index / size) === Math.floor(token / size),
  );
  return found && highlight(found);
}
