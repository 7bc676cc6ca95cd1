export { isHubPath } from './hub-spec.ts';
export { type HubOptions, resolveHubPath } from './resolve.ts';
