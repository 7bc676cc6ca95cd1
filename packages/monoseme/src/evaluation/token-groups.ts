import type { TokenSet } from '../corpus/index.ts';

/** Documents beyond this number are joined with their neighbours: more blocks do not change an interval. */
const MAX_BLOCKS = 4096;
/** Sources beyond this number are counted together. */
const MAX_SOURCES = 64;
const OTHER_SOURCES = '(other)';

/** Which groups every token of a text belongs to. */
export interface TokenGroups {
  /** [tokens]: the document, or several neighbouring ones: what a bootstrap draws. */
  readonly blockOf: Uint16Array;
  readonly nBlocks: number;
  readonly nDocuments: number;
  /** [tokens]: index into `sources`. */
  readonly sourceOf: Uint8Array;
  readonly sources: readonly string[];
  /** [contextSize]: index into `positions`, whose entries are the first and last position of a group. */
  readonly positionOf: Uint8Array;
  readonly positions: readonly (readonly [number, number])[];
}

/** Positions are grouped by powers of two: 0, 1, 2–3, 4–7 and so on. */
export function tokenGroups({ tokens, documents, contextSize }: TokenSet): TokenGroups {
  const blockOf = new Uint16Array(tokens.length);
  const sourceOf = new Uint8Array(tokens.length);
  const perBlock = Math.ceil(documents.length / MAX_BLOCKS);
  const sources = sourcesOf(documents);
  documents.forEach(({ source, start, length }, i) => {
    const index = sources.indexOf(source);
    blockOf.fill(Math.floor(i / perBlock), start, start + length);
    sourceOf.fill(index < 0 ? sources.length - 1 : index, start, start + length);
  });
  const positions: [number, number][] = [[0, 0]];
  for (let first = 1; first < contextSize; first *= 2) {
    positions.push([first, Math.min(2 * first, contextSize) - 1]);
  }
  const positionOf = Uint8Array.from({ length: contextSize }, (_, i) => 32 - Math.clz32(i));
  return {
    blockOf,
    nBlocks: Math.ceil(documents.length / perBlock),
    nDocuments: documents.length,
    sourceOf,
    sources,
    positionOf,
    positions,
  };
}

/** The sources in the order in which they come, the last one for all that are too many. */
function sourcesOf(documents: TokenSet['documents']): string[] {
  const sources = [...new Set(documents.map(({ source }) => source))];
  return sources.length <= MAX_SOURCES ? sources : [...sources.slice(0, MAX_SOURCES - 1), OTHER_SOURCES];
}
