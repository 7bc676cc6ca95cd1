export { Collection, type CollectionManifest, openCollection } from './collection.ts';
