import type { FeatureIndex } from './feature-index.ts';
import { findPattern, patternOf } from './pattern.ts';

/**
 * Features whose explanations hold a text (but for upper and lower case), or match a pattern between slashes; by the
 * number of their explanations that do.
 *
 * @throws {IndexError} what `findPattern` throws
 */
export async function searchExplanations(index: FeatureIndex, query: string): Promise<Map<number, number>> {
  const rows = await index.allExplanations();
  const pattern = patternOf(query);
  const wanted = query.toLowerCase();
  const fits =
    pattern === undefined
      ? rows.map(({ text }) => text.toLowerCase().includes(wanted))
      : await linesWith(
          rows.map(({ text }) => text),
          pattern,
        );
  const found = new Map<number, number>();
  fits.forEach((does, i) => {
    const latent = rows[i].latent_index;
    if (does) found.set(latent, (found.get(latent) ?? 0) + 1);
  });
  return found;
}

/** Which of some texts a pattern matches. */
async function linesWith(texts: readonly string[], pattern: string): Promise<boolean[]> {
  const lines = texts.map((text) => text.replaceAll('\n', ' '));
  const ranges = await findPattern(lines.join('\n'), pattern);
  const fits = lines.map(() => false);
  let [line, start] = [0, 0];
  for (let i = 0; i < ranges.length; i += 2) {
    while (line < lines.length && start + lines[line].length < ranges[i]) start += lines[line++].length + 1;
    if (line < lines.length) fits[line] = true;
  }
  return fits;
}
