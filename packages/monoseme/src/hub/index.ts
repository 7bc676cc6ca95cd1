export { isHubPath } from './hub-spec.ts';
export { type HubOptions, isInHubCache, resolveHubPath } from './resolve.ts';
