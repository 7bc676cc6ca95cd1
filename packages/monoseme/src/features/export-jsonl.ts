import { createHash } from 'node:crypto';
import { atomicWrite } from '../formats/index.ts';
import { type FeatureRecord, featureRecords, type FeatureRecordsOptions } from './feature-records.ts';
import type { FeatureIndex } from './open-feature-index.ts';

/** Tokens of text on each side of an example's peak. */
const AROUND = 32;

/**
 * Write an index as JSON lines: one object a feature, with its figures, details, effects, explanations, and its examples as texts,
 * so that a reader needs nothing else.
 *
 * @returns hash of the file
 * @throws {MonosemeError} ERR_FILE, ERR_DISK_FULL, ERR_INTERRUPTED; what the index throws
 */
export async function exportJsonl(
  index: FeatureIndex,
  path: string,
  options: FeatureRecordsOptions = {},
): Promise<string> {
  const texts = await index.vocabulary();
  const hash = createHash('sha256');
  await atomicWrite(path, async (file) => {
    for await (const record of featureRecords(index, { radius: AROUND, ...options })) {
      const line = `${JSON.stringify(featureObject(record, texts))}\n`;
      hash.update(line);
      await file.write(line);
    }
  });
  return hash.digest('hex');
}

function featureObject(
  { figures, details, examples, effects, explanations }: FeatureRecord,
  texts: readonly string[],
) {
  const effectAt = new Map(effects.map((effect) => [effect.token_index, effect]));
  return {
    ...figures,
    ...details,
    explanations: explanations.map(({ latent_index: _, ...explanation }) => explanation),
    examples: examples.map(({ firstToken, tokens, activations: _, ...example }) => ({
      ...example,
      first_token_index: firstToken,
      tokens: Array.from(tokens),
      strings: Array.from(tokens, (token) => texts[token]),
      effect: effectAt.get(example.token_index) ?? null,
    })),
  };
}
