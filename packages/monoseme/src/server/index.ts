export { exportSite } from './export-site.ts';
export { expectFreePort, type RunningServer, serveExplorer, type ServeOptions } from './serve-explorer.ts';
export type { LiveParts } from './live-model.ts';
