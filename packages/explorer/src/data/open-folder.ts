import { Collection } from './collection.ts';
import { FeatureIndex } from './feature-index.ts';
import { fetchManifest } from './manifest.ts';

/** What a folder of data holds: one index, or a collection of several. */
export type Opened =
  | { readonly index: FeatureIndex; readonly collection: undefined }
  | { readonly index: undefined; readonly collection: Collection };

/** Open the folder beside the page. */
export async function openFolder(base: URL): Promise<Opened> {
  const json = await fetchManifest(base);
  if (json?.kind === 'feature-collection')
    return { index: undefined, collection: new Collection(base, json) };
  return { index: await FeatureIndex.open(base, json), collection: undefined };
}
