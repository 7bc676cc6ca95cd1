import { NO_ROLE, type TokenSet } from '../corpus/index.ts';

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
  /** [tokens]: index into `sources`. Of conversations, each role in a source is one of its own: `chats: assistant`. */
  readonly sourceOf: Uint8Array;
  readonly sources: readonly string[];
  /** [contextSize]: index into `positions`, whose entries are the first and last position of a group. */
  readonly positionOf: Uint8Array;
  readonly positions: readonly (readonly [number, number])[];
}

/** Positions are grouped by powers of two: 0, 1, 2–3, 4–7 and so on. */
export function tokenGroups(set: TokenSet): TokenGroups {
  const { tokens, documents, contextSize } = set;
  const blockOf = new Uint16Array(tokens.length);
  const perBlock = Math.ceil(documents.length / MAX_BLOCKS);
  documents.forEach(({ start, length }, i) => blockOf.fill(Math.floor(i / perBlock), start, start + length));
  return {
    blockOf,
    nBlocks: Math.ceil(documents.length / perBlock),
    nDocuments: documents.length,
    ...sourcesOf(set),
    ...positionGroups(contextSize),
  };
}

/** Positions 0 to size − 1, grouped by powers of two. */
export function positionGroups(size: number): Pick<TokenGroups, 'positionOf' | 'positions'> {
  const positions: [number, number][] = [[0, 0]];
  for (let first = 1; first < size; first *= 2) positions.push([first, Math.min(2 * first, size) - 1]);
  return { positions, positionOf: Uint8Array.from({ length: size }, (_, i) => 32 - Math.clz32(i)) };
}

export const positionNames = (positions: TokenGroups['positions']): string[] =>
  positions.map(([low, high]) => (low === high ? `${low}` : `${low}–${high}`));

/** The sources in the order in which they come, the last one for all that are too many. */
function sourcesOf(set: TokenSet): Pick<TokenGroups, 'sourceOf' | 'sources'> {
  const numbers = new Map<string, number>();
  for (const { source } of sourceRuns(set)) if (!numbers.has(source)) numbers.set(source, numbers.size);
  const isMany = numbers.size > MAX_SOURCES;
  const sourceOf = new Uint8Array(set.tokens.length);
  for (const { source, start, end } of sourceRuns(set))
    sourceOf.fill(Math.min(numbers.get(source)!, MAX_SOURCES - 1), start, end);
  const sources = [...numbers.keys()];
  return { sourceOf, sources: isMany ? [...sources.slice(0, MAX_SOURCES - 1), OTHER_SOURCES] : sources };
}

/** Stretches of tokens of one source and one role. */
function* sourceRuns({
  documents,
  roles,
}: TokenSet): Generator<{ source: string; start: number; end: number }> {
  for (const { source, start, length } of documents) {
    const documentEnd = start + length;
    for (let from = start, to; from < documentEnd; from = to) {
      const role = roles?.of[from];
      for (to = roles ? from + 1 : documentEnd; to < documentEnd && roles!.of[to] === role;) to++;
      const named = role === undefined || role === NO_ROLE ? source : `${source}: ${roles!.names[role]}`;
      yield { source: named, start: from, end: to };
    }
  }
}
