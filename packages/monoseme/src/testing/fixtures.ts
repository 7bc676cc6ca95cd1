import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { TokenSet } from '../corpus/index.ts';
import { Random } from '../random/index.ts';

const ROOT = fileURLToPath(new URL('../../../../fixtures/', import.meta.url));

/** Path of a file or folder under fixtures/. */
export const fixture = (...parts: string[]): string => join(ROOT, ...parts);

/** Names of the small models of fixtures/models/. */
export const FIXTURE_MODELS: readonly string[] = readdirSync(fixture('models')).sort();

/** Names of the small graphs of published architectures in fixtures/families/. */
export const FIXTURE_FAMILIES: readonly string[] = readdirSync(fixture('families')).sort();

/** Tokens of the small models' vocabulary (50), seeded; every context is a document. */
export function randomTokens(nContexts: number, contextSize: number, seed = 0): TokenSet {
  const random = new Random(seed);
  const tokens = Uint32Array.from({ length: nContexts * contextSize }, () => random.integer(50));
  const documents = Array.from({ length: nContexts }, (_, i) => ({
    id: `document ${i}`,
    source: 'random',
    start: i * contextSize,
    length: contextSize,
  }));
  return { tokens, contextSize, nContexts, documents };
}
