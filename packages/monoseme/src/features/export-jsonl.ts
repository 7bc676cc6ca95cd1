import { createHash } from 'node:crypto';
import { throwIfAborted } from '../errors.ts';
import { atomicWrite } from '../formats/index.ts';
import type { FeatureIndex } from './open-feature-index.ts';

/** Tokens of text on each side of an example's peak. */
const AROUND = 32;

/**
 * Write an index as JSON lines: one object a feature, with its figures, details, effects, and its examples as texts,
 * so that a reader needs nothing else.
 *
 * @returns hash of the file
 * @throws {MonosemeError} ERR_FILE, ERR_DISK_FULL, ERR_INTERRUPTED; what the index throws
 */
export async function exportJsonl(
  index: FeatureIndex,
  path: string,
  options: { signal?: AbortSignal; onProgress?: (done: number, total: number) => void } = {},
): Promise<string> {
  const texts = await index.vocabulary();
  const { context_size: contextSize } = index.details.corpus;
  const hash = createHash('sha256');
  await atomicWrite(path, async (file) => {
    for (let latent = 0; latent < index.dSae; latent++) {
      throwIfAborted(options.signal);
      const line = `${JSON.stringify(await featureObject(index, latent, texts, contextSize))}\n`;
      hash.update(line);
      await file.write(line);
      options.onProgress?.(latent + 1, index.dSae);
    }
  });
  return hash.digest('hex');
}

async function featureObject(
  index: FeatureIndex,
  latent: number,
  texts: readonly string[],
  contextSize: number,
) {
  const [[figures], details, examples, effects] = await Promise.all([
    index.features(latent, latent + 1),
    index.detailsOf(latent),
    index.examplesOf(latent),
    index.effectsOf(latent),
  ]);
  const effectAt = new Map(effects.map((effect) => [effect.token_index, effect]));
  const withTexts = await Promise.all(
    examples.map(async (example) => {
      const { token_index: peak } = example;
      const start = Math.max(peak - (peak % contextSize), peak - AROUND);
      const end = Math.min(peak - (peak % contextSize) + contextSize, peak + AROUND + 1);
      const tokens = [...(await index.tokens(start, end))];
      const strings = tokens.map((token) => texts[token]);
      return { ...example, first_token_index: start, tokens, strings, effect: effectAt.get(peak) ?? null };
    }),
  );
  return { ...figures, ...details, examples: withTexts };
}
