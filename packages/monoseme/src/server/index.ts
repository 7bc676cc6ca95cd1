export { expectFreePort, type RunningServer, serveExplorer, type ServeOptions } from './serve-explorer.ts';
