import { createServer, type Server } from 'node:http';
import { hostname, networkInterfaces } from 'node:os';
import { createAdaptorServer } from '@hono/node-server';
import { MonosemeError } from '../errors.ts';
import type { Collection } from '../collection/index.ts';
import { openFeatureIndex } from '../features/index.ts';
import { BUILT_PAGE, expectPage } from './built-page.ts';
import { newAccessToken } from './access-token.ts';
import { LiveModel, type LiveParts } from './live-model.ts';
import { MemberModels, type OpenMember } from './member-models.ts';
import { explorerApp } from './explorer-app.ts';

/** A request line and headers of ours take a few hundred bytes; a slow sender is not waited for. */
const HEADER_BYTES = 8192;
const HEADERS_TIMEOUT_MS = 10_000;
/** A request has at most some hundred kilobytes. */
const REQUEST_TIMEOUT_MS = 30_000;
/** How often the two are looked at: Node's usual half minute would be added to them. */
const CHECKING_MS = 5_000;
/** Longer than the model may work on a request: a client that has read nothing for so long holds a file for no one. */
const STALLED_MS = 120_000;

export interface ServeOptions {
  /** Folder of a feature index, or a collection of several. */
  readonly index: string | Collection;
  /** Folder of the built page; the one that was built with this toolkit when left out. */
  readonly page?: string;
  /** Address to listen on; 127.0.0.1 when left out. Beyond this machine a token is asked for. */
  readonly host?: string;
  /** Further names under which the server may be asked for, when others can reach it. */
  readonly hostNames?: readonly string[];
  /** Model and dictionary for the live endpoints. */
  readonly live?: LiveParts;
  /** How the model of a collection's member is opened; it belongs to the server, which closes it. */
  readonly openMember?: OpenMember;
  /** A connection on which nothing has moved for so long, in milliseconds, is closed: two minutes when left out. */
  readonly stalledMs?: number;
  /** 0 for any free port. */
  readonly port: number;
}

export interface RunningServer {
  /** Address of the page, with the token where one is asked for. */
  readonly url: string;
  /** Whether others than this machine can reach it. */
  readonly isOpen: boolean;
  /** Stop, also for clients that are still connected. */
  close(): Promise<void>;
}

/**
 * Serve the page and an index, or a collection, to browsers of this machine, read-only.
 *
 * @throws {MonosemeError} what `openFeatureIndex` throws; ERR_NOT_FOUND without the built page; ERR_OPTION when the port
 * is taken or not allowed, or the host is not of this machine
 */
export async function serveExplorer(options: ServeOptions): Promise<RunningServer> {
  const { index, page = BUILT_PAGE, host = '127.0.0.1', stalledMs = STALLED_MS, port } = options;
  if (typeof index === 'string') await openFeatureIndex(index);
  await expectPage(page);
  const bracketed = host.includes(':') ? `[${host}]` : host;
  const isOpen = !isLoopback(host);
  const token = isOpen ? newAccessToken() : undefined;
  const machine = isOpen ? [hostname(), ...addresses()] : [];
  const names = [bracketed, 'localhost', '127.0.0.1', '[::1]', ...machine, ...(options.hostNames ?? [])];
  const live = options.live && new LiveModel(options.live);
  const members = options.openMember && new MemberModels(options.openMember);
  const app = explorerApp({
    page,
    index,
    live,
    members,
    token,
    hostNames: names.map((name) => name.toLowerCase()),
  });
  const server = createAdaptorServer({
    fetch: app.fetch,
    serverOptions: {
      maxHeaderSize: HEADER_BYTES,
      headersTimeout: HEADERS_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      connectionsCheckingInterval: CHECKING_MS,
    },
  }) as Server;
  server.setTimeout(stalledMs);
  await listen(server, host, port);
  const address = server.address();
  const bound = typeof address === 'object' && address ? address.port : port;
  return {
    url: `http://${bracketed}:${bound}/${token === undefined ? '' : `?token=${token}`}`,
    isOpen,
    close: async () => {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
      await live?.close();
      await members?.close();
    },
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

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\.\d{1,3}\.\d{1,3}\.\d{1,3}$/.test(host);
}

/** Addresses of this machine, as they stand in a Host header. */
function addresses(): string[] {
  return Object.values(networkInterfaces())
    .flat()
    .flatMap((found) => (found ? [found.family === 'IPv6' ? `[${found.address}]` : found.address] : []));
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
