export { exportSite } from './export-site.ts';
export { expectFreePort, type RunningServer, serveExplorer, type ServeOptions } from './serve-explorer.ts';
export type { Effect, EncodedText, LiveParts } from './live-model.ts';
export type { SteeredText, SteerRequest } from './steer-request.ts';
