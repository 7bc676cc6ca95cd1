import { stat } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createAdaptorServer } from '@hono/node-server';
import { MonosemeError } from '../errors.ts';
import { openFeatureIndex } from '../features/index.ts';
import { explorerApp } from './explorer-app.ts';

/** A request line and headers of ours take a few hundred bytes; a slow sender is not waited for. */
const HEADER_BYTES = 8192;
const HEADERS_TIMEOUT_MS = 10_000;

const BUILT_PAGE = fileURLToPath(new URL('../../../explorer/dist/page/', import.meta.url));

export interface ServeOptions {
  /** Folder of a feature index. */
  readonly index: string;
  /** Folder of the built page; the one that was built with this toolkit when left out. */
  readonly page?: string;
  readonly host?: string;
  /** 0 for any free port. */
  readonly port: number;
}

export interface RunningServer {
  /** Address of the page. */
  readonly url: string;
  /** Stop, also for clients that are still connected. */
  close(): Promise<void>;
}

/**
 * Serve the page and an index to browsers of this machine, read-only.
 *
 * @throws {MonosemeError} what `openFeatureIndex` throws; ERR_NOT_FOUND without the built page; ERR_OPTION when the port
 * is taken or not allowed, or the host is not of this machine
 */
export async function serveExplorer(options: ServeOptions): Promise<RunningServer> {
  const { index, page = BUILT_PAGE, host = '127.0.0.1', port } = options;
  await openFeatureIndex(index);
  if (!(await stat(join(page, 'index.html')).catch(() => undefined)))
    throw new MonosemeError(
      'ERR_NOT_FOUND',
      `There is no built page in ${page}.`,
      'Run npm run build first.',
    );
  const bracketed = host.includes(':') ? `[${host}]` : host;
  const app = explorerApp({ page, index, hostNames: [bracketed, 'localhost', '127.0.0.1', '[::1]'] });
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: { maxHeaderSize: HEADER_BYTES, headersTimeout: HEADERS_TIMEOUT_MS },
  }) as Server;
  await listen(server, host, port);
  const address = server.address();
  const bound = typeof address === 'object' && address ? address.port : port;
  return {
    url: `http://${bracketed}:${bound}/`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

/**
 * Ask for a port before the long work whose result it will serve. Port 0 is always free.
 *
 * @throws {MonosemeError} ERR_OPTION when the port is taken or not allowed
 */
export async function expectFreePort(port: number, host = '127.0.0.1'): Promise<void> {
  const server = createServer();
  await listen(server, host, port);
  await new Promise((resolve) => server.close(resolve));
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reasons: Record<string, string> = {
        EADDRINUSE: 'is in use',
        EACCES: 'is not allowed',
        EADDRNOTAVAIL: 'is not an address of this machine',
        ENOTFOUND: 'is not a known host',
      };
      const reason = reasons[error.code ?? ''] ?? `cannot be used (${error.message})`;
      reject(new MonosemeError('ERR_OPTION', `${host}:${port} ${reason}.`, 'Choose another with --port.'));
    });
    server.listen({ host, port }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}
