export { pairsOfSite } from './site-pairs.ts';
export { Collection, type CollectionManifest, openCollection } from './collection.ts';
