import { Random, hashSeed } from '../random/index.ts';
import type { Document } from './document.ts';
import { compilerCode, moduleCode } from './packages/code.ts';
import { countryFacts } from './packages/country-facts.ts';
import { declarationHtml, declarationText, isLatin } from './packages/declaration.ts';
import { asBase64, asHex } from './packages/encoded.ts';
import { markdown } from './packages/markdown.ts';
import { messages } from './packages/messages.ts';
import { novel } from './packages/novel.ts';
import { speeches } from './packages/speeches.ts';

const MB = 1_000_000;

/**
 * The default corpus: about 30 MB of speeches, a novel, one text in hundreds of languages, code, messages,
 * Markdown, facts and encoded bytes, read from installed packages. Each kind is capped (in UTF-8 bytes) so
 * that none drowns the others; what a cap leaves out, and the order of the whole, are drawn with `seed`.
 *
 * @param options.root folder from whose `node_modules` (or one above) the packages are read
 * @throws {MonosemeError} ERR_NOT_FOUND when a package is missing
 */
export function defaultMixture(options: { root?: string; seed?: number } = {}): Document[] {
  const { root, seed = 0 } = options;
  const take = (documents: Document[], megabytes: number, label: string): Document[] =>
    sample(documents, megabytes * MB, hashSeed(seed, 'mixture', label));

  const speech = speeches(root);
  const translations = declarationText(root);
  const html = declarationHtml(root);
  const compiler = compilerCode(root);
  const isInLatin = translations.map(({ text }) => isLatin(text));
  const documents = [
    ...speech,
    ...novel(root),
    ...take(
      translations.filter((_, i) => !isInLatin[i]),
      2.4,
      'scripts',
    ),
    ...take(
      translations.filter((_, i) => isInLatin[i]),
      1.4,
      'latin',
    ),
    ...take(html, 0.8, 'html'),
    ...take(countryFacts(root), 4, 'facts'),
    ...take(
      compiler.filter(({ id }) => id.includes('.d.ts')),
      2.5,
      'declarations',
    ),
    ...take(
      compiler.filter(({ id }) => !id.includes('.d.ts')),
      2.5,
      'compiler',
    ),
    ...take(moduleCode(root), 0.8, 'modules'),
    ...take(messages(root), 2.5, 'messages'),
    ...take(markdown(root), 1, 'markdown'),
    ...take(asBase64([...speech, ...html]), 0.3, 'base64'),
    ...take(asHex([...translations, ...speech]), 0.3, 'hex'),
  ];
  return shuffle(documents, hashSeed(seed, 'mixture', 'order'));
}

/** Documents in random order, as many as fit in `maxBytes` of UTF-8. */
function sample(documents: Document[], maxBytes: number, seed: number): Document[] {
  const chosen: Document[] = [];
  let left = maxBytes;
  for (const document of shuffle(documents, seed)) {
    left -= Buffer.byteLength(document.text);
    if (left < 0) break;
    chosen.push(document);
  }
  return chosen;
}

function shuffle(documents: Document[], seed: number): Document[] {
  return Array.from(new Random(seed).permutation(documents.length), (i) => documents[i]);
}
