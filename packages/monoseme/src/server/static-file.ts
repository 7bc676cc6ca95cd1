import { type FileHandle, open, realpath } from 'node:fs/promises';
import { extname, join, sep } from 'node:path';
import { Readable } from 'node:stream';
import { promisify } from 'node:util';
import { gzip } from 'node:zlib';
import { byteRange } from './byte-range.ts';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.json': 'application/json',
  '.parquet': 'application/vnd.apache.parquet',
  '.bin': 'application/octet-stream',
};
/** Tables are compressed inside, and are read by ranges. */
const COMPRESSIBLE = new Set(['.html', '.js', '.css', '.svg', '.json']);
const LEAST_COMPRESSED = 1024;
/** Larger files are sent as they are: compressing them takes longer than loopback does. */
const MOST_COMPRESSED = 8 * 2 ** 20;
/** Up to here a body is read at once, above it is streamed. */
const MOST_AT_ONCE = 2 ** 20;

export interface StaticRequest {
  readonly method: 'GET' | 'HEAD';
  readonly range: string | undefined;
  readonly ifRange: string | undefined;
  readonly ifNoneMatch: string | undefined;
  readonly acceptEncoding: string | undefined;
}

const compress = promisify(gzip);

/** Files of one folder and what lies below it. */
export class StaticFolder {
  readonly #root: string;
  readonly #cacheControl: (names: readonly string[]) => string;
  readonly #compressed = new Map<string, Promise<Buffer>>();

  /** @param cacheControl value of the Cache-Control header of a file */
  constructor(root: string, cacheControl: (names: readonly string[]) => string) {
    this.#root = root;
    this.#cacheControl = cacheControl;
  }

  /** The answer to a request for a file; undefined when there is none, or when a link leads out of the folder. */
  async respond(names: readonly string[], request: StaticRequest): Promise<Response | undefined> {
    const type = TYPES[extname(names.at(-1) ?? '')];
    if (type === undefined) return undefined;
    const path = await this.#inside(names);
    const file = path === undefined ? undefined : await open(path, 'r').catch(() => undefined);
    if (!file) return undefined;
    let handedOver = false;
    try {
      const stats = await file.stat();
      if (!stats.isFile()) return undefined;
      const headers = new Headers({ 'Content-Type': type, 'Cache-Control': this.#cacheControl(names) });
      const tag = `${stats.size.toString(36)}-${Math.round(stats.mtimeMs).toString(36)}`;
      if (this.#compresses(names, stats.size)) {
        headers.set('Vary', 'Accept-Encoding');
        if (request.range === undefined && /\bgzip\b/.test(request.acceptEncoding ?? ''))
          return await this.#compressedResponse(
            file,
            stats.size,
            `${path}:${tag}`,
            `"${tag}-gz"`,
            headers,
            request,
          );
      }
      headers.set('Accept-Ranges', 'bytes');
      const response = plainResponse(file, stats.size, `"${tag}"`, headers, request);
      handedOver = response.streams;
      return await response.made;
    } finally {
      if (!handedOver) await file.close();
    }
  }

  async #inside(names: readonly string[]): Promise<string | undefined> {
    const [root, path] = await Promise.all([
      realpath(this.#root).catch(() => undefined),
      realpath(join(this.#root, ...names)).catch(() => undefined),
    ]);
    return root !== undefined && path?.startsWith(root + sep) ? path : undefined;
  }

  #compresses(names: readonly string[], size: number): boolean {
    return COMPRESSIBLE.has(extname(names.at(-1)!)) && size >= LEAST_COMPRESSED && size <= MOST_COMPRESSED;
  }

  async #compressedResponse(
    file: FileHandle,
    size: number,
    key: string,
    etag: string,
    headers: Headers,
    request: StaticRequest,
  ): Promise<Response> {
    headers.set('ETag', etag);
    if (isKnown(request, etag)) return new Response(null, { status: 304, headers });
    let body = this.#compressed.get(key);
    if (!body) {
      body = readPart(file, 0, size).then((bytes) => compress(bytes));
      body.catch(() => this.#compressed.delete(key));
      if (this.#compressed.size >= 32) this.#compressed.clear();
      this.#compressed.set(key, body);
    }
    const bytes = await body;
    headers.set('Content-Encoding', 'gzip');
    headers.set('Content-Length', String(bytes.byteLength));
    return new Response(request.method === 'HEAD' ? null : new Uint8Array(bytes), { headers });
  }
}

/** `streams` says that the response now owns the file and closes it. */
function plainResponse(
  file: FileHandle,
  size: number,
  etag: string,
  headers: Headers,
  request: StaticRequest,
): { streams: boolean; made: Promise<Response> | Response } {
  headers.set('ETag', etag);
  if (isKnown(request, etag)) return { streams: false, made: new Response(null, { status: 304, headers }) };
  const asked = request.ifRange === undefined || request.ifRange === etag ? request.range : undefined;
  const range = byteRange(asked, size);
  if (range === 'unsatisfiable') {
    headers.set('Content-Range', `bytes */${size}`);
    return { streams: false, made: new Response(null, { status: 416, headers }) };
  }
  const { start, end } = range ?? { start: 0, end: size };
  const status = range ? 206 : 200;
  if (range) headers.set('Content-Range', `bytes ${start}-${end - 1}/${size}`);
  headers.set('Content-Length', String(end - start));
  if (request.method === 'HEAD' || end === start)
    return { streams: false, made: new Response(null, { status, headers }) };
  if (end - start <= MOST_AT_ONCE)
    return {
      streams: false,
      made: readPart(file, start, end).then((body) => new Response(body, { status, headers })),
    };
  const stream = Readable.toWeb(file.createReadStream({ start, end: end - 1 }));
  return { streams: true, made: new Response(stream as ReadableStream, { status, headers }) };
}

function isKnown({ ifNoneMatch }: StaticRequest, etag: string): boolean {
  return (
    ifNoneMatch !== undefined &&
    ifNoneMatch.split(',').some((known) => known.trim().replace(/^W\//, '') === etag)
  );
}

async function readPart(file: FileHandle, start: number, end: number): Promise<Uint8Array<ArrayBuffer>> {
  const bytes = new Uint8Array(end - start);
  let done = 0;
  while (done < bytes.length) {
    const { bytesRead } = await file.read(bytes, done, bytes.length - done, start + done);
    if (bytesRead === 0) throw new Error('the file became shorter while it was read');
    done += bytesRead;
  }
  return bytes;
}
