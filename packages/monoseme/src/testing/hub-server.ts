import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

/** The ways in which a {@link HubServer} can fail, for one test at a time. */
export interface HubFaults {
  /** Every answer with bytes of a file breaks off after as many. */
  cutAfter?: number;
  /** Range requests are answered with the whole file. */
  ignoreRange?: boolean;
  /** Answers with this status, as often as counted. */
  status?: { code: number; times: number };
  /** A path that is listed beside the files. */
  listedPath?: string;
  /** Files are sent with their first byte changed. */
  changeBytes?: boolean;
  /** Address of the second page of listings. */
  nextPage?: string;
}

export const HUB_COMMIT = '0123456789abcdef0123456789abcdef01234567';
/** From this size on a file is large and has a SHA-256, as in git LFS. */
const LARGE = 1000;
const PAGE = 2;

/**
 * A server that speaks the protocol of Hugging Face's hub, for what is read of it: revisions, trees in pages, paths,
 * files with ranges and redirects, and its error codes. Repositories: `lab/open` and `lab/gated` (its token is `hf_good`)
 * with the same files, models and data sets alike.
 */
export class HubServer {
  readonly faults: HubFaults = {};
  readonly requests: { path: string; range: string | undefined; token: string | undefined }[] = [];
  readonly #files: ReadonlyMap<string, Buffer>;
  readonly #server = createServer((request, response) => {
    void this.#answer(request, response);
  });

  constructor(files: Readonly<Record<string, Buffer>>) {
    this.#files = new Map(Object.entries(files));
  }

  /** The address of the server, once started. */
  async start(): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '', 'http://hub');
    const path = decodeURIComponent(url.pathname.slice(1));
    const { authorization, range } = request.headers;
    this.requests.push({ path, range, token: authorization });
    const fail = (status: number, code = '') => response.writeHead(status, { 'x-error-code': code }).end();
    const { status } = this.faults;
    if (status && status.times-- > 0) return void fail(status.code);
    if (path.startsWith('cdn/')) return this.#sendFile(path.slice(4), range, response);

    const [, api, repo, rest] = /^(api\/)?(?:models\/|datasets\/)?(lab\/\w+)\/(.*)$/.exec(path) ?? [];
    if (repo !== 'lab/open' && repo !== 'lab/gated')
      return void fail(authorization ? 404 : 401, 'RepoNotFound');
    if (repo === 'lab/gated' && authorization !== 'Bearer hf_good') return void fail(401, 'GatedRepo');
    const [, what, revision, inner = ''] = /^(\w[\w-]*)\/([^/]+)\/?(.*)$/.exec(rest) ?? [];
    if (revision !== 'main' && revision !== HUB_COMMIT) return void fail(404, 'RevisionNotFound');
    const send = (json: unknown, headers = {}) =>
      void response.writeHead(200, headers).end(JSON.stringify(json));
    if (api && what === 'revision') return send({ sha: HUB_COMMIT });
    if (api && what === 'paths-info') {
      const { paths } = JSON.parse(await text(request)) as { paths: string[] };
      return send(paths.flatMap((wanted) => this.#entry(wanted) ?? []));
    }
    if (api && what === 'tree') return this.#sendTree(url, inner, send);
    if (!api && what === 'resolve' && this.#files.has(inner))
      return void response.writeHead(302, { location: `/cdn/${inner}` }).end();
    fail(404, 'EntryNotFound');
  }

  #entry(path: string) {
    const bytes = this.#files.get(path);
    const isFolder = [...this.#files.keys()].some((name) => name.startsWith(`${path}/`));
    if (!bytes) return isFolder ? { type: 'directory', path, size: 0, oid: '0'.repeat(40) } : undefined;
    const oid = createHash('sha1').update(`blob ${bytes.length}\0`).update(bytes).digest('hex');
    const lfs = {
      oid: createHash('sha256').update(bytes).digest('hex'),
      size: bytes.length,
      pointerSize: 130,
    };
    return { type: 'file', path, size: bytes.length, oid, ...(bytes.length >= LARGE && { lfs }) };
  }

  #sendTree(url: URL, folder: string, send: (json: unknown, headers?: object) => void): void {
    const prefix = folder === '' ? '' : `${folder}/`;
    const isDeep = url.searchParams.get('recursive') === 'true';
    const below = [...this.#files.keys()].filter((name) => name.startsWith(prefix));
    const names = new Set(
      below.map((name) => (isDeep ? name : prefix + name.slice(prefix.length).split('/')[0])),
    );
    const all = [...names].map((name) => this.#entry(name));
    if (this.faults.listedPath !== undefined)
      all.push({ type: 'file', path: this.faults.listedPath, size: 1, oid: '0'.repeat(40) });
    const from = Number(url.searchParams.get('cursor') ?? 0);
    const more = new URL(
      url.pathname + url.search,
      `http://${'127.0.0.1'}:${(this.#server.address() as AddressInfo).port}`,
    );
    more.searchParams.set('cursor', String(from + PAGE));
    const link = `<${this.faults.nextPage ?? more.href}>; rel="next"`;
    send(all.slice(from, from + PAGE), from + PAGE < all.length ? { link } : {});
  }

  #sendFile(name: string, range: string | undefined, response: ServerResponse): void {
    const bytes = Buffer.from(this.#files.get(name) as Buffer);
    if (this.faults.changeBytes) bytes[0] ^= 1;
    const from = this.faults.ignoreRange ? 0 : Number(/^bytes=(\d+)-$/.exec(range ?? '')?.[1] ?? 0);
    const rest = bytes.subarray(from);
    const headers = {
      'content-length': rest.length,
      ...(from > 0 && { 'content-range': `bytes ${from}-${bytes.length - 1}/${bytes.length}` }),
    };
    response.writeHead(from > 0 ? 206 : 200, headers);
    const { cutAfter = Infinity } = this.faults;
    if (rest.length <= cutAfter) response.end(rest);
    else response.write(rest.subarray(0, cutAfter), () => setTimeout(() => response.destroy(), 100));
  }
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of request) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks).toString();
}
