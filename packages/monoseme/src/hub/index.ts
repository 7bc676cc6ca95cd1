export { isHubPath, isRelativePath, parseHubPath } from './hub-spec.ts';
export { type HubOptions, isInHubCache, listHubFiles, resolveHubPath } from './resolve.ts';
