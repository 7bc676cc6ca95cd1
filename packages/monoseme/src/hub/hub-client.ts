import { GOES_ON, interrupted, MonosemeError } from '../errors.ts';
import { LIMITS, parseJson } from '../formats/index.ts';
import { type HubSpec, isRelativePath } from './hub-spec.ts';

/** A file of a repository. */
export interface HubFile {
  readonly path: string;
  readonly bytes: number;
  /** SHA-256 of a large file; of a small one the SHA-1 that git gives it. Hexadecimal. */
  readonly hash: string;
}

export interface HubConnection {
  /** `https://huggingface.co` or a server that speaks its protocol. */
  readonly endpoint: string;
  readonly token?: string;
  readonly signal?: AbortSignal;
}

/** The largest published repositories of dictionaries list some ten thousand files. */
const MAX_FILES = 200_000;
const MAX_PAGES = 1000;
const ATTEMPTS = 4;
/** A server that neither answers nor closes is given up. */
const HEADERS_TIMEOUT_MS = 60_000;

/** The commit that a revision stands for. @throws {MonosemeError} as {@link request} */
export async function commitOf(hub: HubConnection, { kind, repo, revision }: HubSpec): Promise<string> {
  const path = `api/${kind}/${repo}/revision/${encodeURIComponent(revision)}?expand=sha`;
  const { sha } = record(await requestJson(hub, path));
  if (typeof sha === 'string' && /^[0-9a-f]{40}$/.test(sha)) return sha;
  throw badAnswer(path, `the commit is ${JSON.stringify(sha)?.slice(0, 80)}`);
}

/**
 * The file at a path, or the files of the folder there; of sub-folders too when `recursive`.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND when there is neither; else as {@link request}
 */
export async function listFiles(
  hub: HubConnection,
  { kind, repo, path }: HubSpec,
  commit: string,
  recursive: boolean,
): Promise<{ isFolder: boolean; files: HubFile[] }> {
  const of = (what: string) => `api/${kind}/${repo}/${what}/${commit}`;
  if (path !== '') {
    const body = JSON.stringify({ paths: [path], expand: false });
    const [entry] = entries(await requestJson(hub, of('paths-info'), body), of('paths-info'));
    if (entry === undefined)
      throw new MonosemeError('ERR_NOT_FOUND', `${repo} has no "${path}".`, 'Look at its files on the hub.');
    if (entry.type === 'file') return { isFolder: false, files: [hubFile(entry)] };
  }
  const files: HubFile[] = [];
  let next: string | undefined = `${of('tree')}${path && '/'}${encodePath(path)}?recursive=${recursive}`;
  for (let page = 0; next !== undefined; page++) {
    if (page === MAX_PAGES || files.length > MAX_FILES)
      throw new MonosemeError(
        'ERR_LIMIT',
        `${repo} lists more than ${MAX_FILES} files.`,
        'Name a folder in it.',
      );
    const response = await request(hub, next);
    const found = entries(await readJson(hub, response, next), next);
    files.push(...found.filter(({ type }) => type === 'file').map(hubFile));
    next = nextPage(hub, response.headers.get('link'));
  }
  return { isFolder: true, files };
}

/** The bytes of a file from a place on. @throws {MonosemeError} as {@link request} */
export function requestFile(
  hub: HubConnection,
  { kind, repo }: HubSpec,
  commit: string,
  path: string,
  from: number,
): Promise<Response> {
  const folder = kind === 'datasets' ? 'datasets/' : '';
  const range = from > 0 ? { range: `bytes=${from}-` } : undefined;
  return request(hub, `${folder}${repo}/resolve/${commit}/${encodePath(path)}`, undefined, range);
}

interface Entry {
  readonly type: unknown;
  readonly path: string;
  readonly size: number;
  readonly oid: string;
  readonly lfs: { readonly oid: string } | undefined;
}

function hubFile({ path, size, oid, lfs }: Entry): HubFile {
  return { path, bytes: size, hash: lfs?.oid ?? oid };
}

/** What a listing holds, checked: these strings become paths. */
function entries(json: unknown, path: string): Entry[] {
  if (!Array.isArray(json)) throw badAnswer(path, 'it is no list of files');
  return json.map((value) => {
    const entry = record(value) as unknown as Entry;
    if (entry.type !== 'file') return entry;
    if (typeof entry.path !== 'string' || !isRelativePath(entry.path))
      throw badAnswer(path, `it lists a file at ${JSON.stringify(entry.path)?.slice(0, 120)}`);
    const hash = entry.lfs ? record(entry.lfs)['oid'] : entry.oid;
    if (typeof hash !== 'string' || !/^([0-9a-f]{40}|[0-9a-f]{64})$/.test(hash))
      throw badAnswer(path, `"${entry.path}" has no hash`);
    if (!Number.isSafeInteger(entry.size) || entry.size < 0)
      throw badAnswer(path, `"${entry.path}" has no size`);
    return entry;
  });
}

/** The address of the next page of a listing, if it is on the same server: the token goes nowhere else. */
function nextPage(hub: HubConnection, link: string | null): string | undefined {
  const url = /<([^>]+)>;\s*rel="?next"?/.exec(link ?? '')?.[1];
  if (url === undefined) return undefined;
  const prefix = `${hub.endpoint}/`;
  if (url.startsWith(prefix)) return url.slice(prefix.length);
  throw badAnswer('listing', `its next page is on another server, ${url.slice(0, 120)}`);
}

async function requestJson(hub: HubConnection, path: string, body?: string): Promise<unknown> {
  return readJson(hub, await request(hub, path, body), path);
}

/** A body of JSON, up to the limit of any. */
async function readJson(hub: HubConnection, response: Response, path: string): Promise<unknown> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  try {
    for await (const chunk of response.body ?? []) {
      length += chunk.length;
      if (length > LIMITS.jsonBytes) throw badAnswer(path, `it is longer than ${LIMITS.jsonBytes} bytes`);
      chunks.push(chunk);
    }
  } catch (error) {
    throw networkError(hub, error, path);
  }
  return parseJson(Buffer.concat(chunks), `The hub's answer to ${path}`);
}

/**
 * Ask the hub. What may pass (429, 5xx) is tried four times, with growing pauses.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND (repository, revision or file), ERR_GATED (a token or consent is missing),
 *   ERR_OFFLINE, ERR_DOWNLOAD, ERR_INTERRUPTED
 */
async function request(
  hub: HubConnection,
  path: string,
  body?: string,
  headers: Record<string, string> = {},
): Promise<Response> {
  for (let attempt = 1; ; attempt++) {
    const response = await fetchOnce(hub, path, body, headers);
    if (response.ok) return response;
    await response.body?.cancel();
    const mayPass = response.status === 429 || response.status >= 500;
    if (!mayPass || attempt === ATTEMPTS) throw refusal(response, path, hub.token !== undefined);
    await pause(2 ** attempt * 100, hub.signal);
  }
}

async function fetchOnce(
  hub: HubConnection,
  path: string,
  body: string | undefined,
  headers: Record<string, string>,
): Promise<Response> {
  const timeout = new AbortController();
  const timer = setTimeout(() => timeout.abort(), HEADERS_TIMEOUT_MS);
  const signal = hub.signal ? AbortSignal.any([hub.signal, timeout.signal]) : timeout.signal;
  try {
    return await fetch(`${hub.endpoint}/${path}`, {
      signal,
      headers: {
        'accept-encoding': 'identity',
        // fetch drops it when the hub redirects to another server.
        ...(hub.token !== undefined && { authorization: `Bearer ${hub.token}` }),
        ...headers,
        ...(body !== undefined && { 'content-type': 'application/json' }),
      },
      ...(body !== undefined && { method: 'POST', body }),
    });
  } catch (error) {
    if (hub.signal?.aborted) throw interrupted(GOES_ON);
    throw networkError(hub, error, path);
  } finally {
    clearTimeout(timer);
  }
}

/** The error for a connection that could not be made, or broke. */
function networkError(hub: HubConnection, error: unknown, path: string): MonosemeError {
  if (error instanceof MonosemeError) return error;
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error);
  return new MonosemeError(
    'ERR_OFFLINE',
    `The hub at ${hub.endpoint} could not be reached for ${named(path).repo}: ${cause.split('\n')[0]}.`,
    'Check the connection and run the same command again; with HF_HUB_OFFLINE=1 what was downloaded before is used.',
    { cause: error },
  );
}

function refusal(response: Response, path: string, hasToken: boolean): MonosemeError {
  const { status } = response;
  const { repo, place } = named(path);
  const code = response.headers.get('x-error-code') ?? '';
  if (code === 'GatedRepo' || (status === 403 && code === ''))
    return new MonosemeError(
      'ERR_GATED',
      `The hub refuses ${repo}: the repository is gated${hasToken ? ' and this token has no access' : ''}.`,
      'Accept its terms on the hub and set HF_TOKEN to a token that may read it.',
    );
  if (code === 'RevisionNotFound' || code === 'EntryNotFound')
    return new MonosemeError(
      'ERR_NOT_FOUND',
      `The hub has no ${place} (${code}).`,
      'Check the revision and the path.',
    );
  if (status === 404 || status === 401)
    return new MonosemeError(
      'ERR_NOT_FOUND',
      `The hub has no ${repo}: the repository does not exist, or it is private.`,
      'Check its name; for a private one set HF_TOKEN.',
    );
  return new MonosemeError(
    'ERR_DOWNLOAD',
    `The hub answered ${path} with status ${status}.`,
    'Try again later.',
  );
}

/** What a path of the hub's interface is about, as a user writes it after `hf:`. */
function named(path: string): { repo: string; place: string } {
  const parts = /^(?:api\/(?:models\/)?)?((?:datasets\/)?[^/]+\/[^/]+)\/[\w-]+\/([^/?]+)\/?([^?]*)/.exec(
    path,
  );
  if (!parts) return { repo: path, place: path };
  const [, repo, revision, file] = parts;
  return { repo, place: `${repo}${file && '/'}${decodeURIComponent(file)}@${revision}` };
}

function badAnswer(path: string, what: string): MonosemeError {
  return new MonosemeError('ERR_FORMAT', `The hub's answer to ${path} is not usable: ${what}.`, '');
}

function record(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/');
}

export async function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  await new Promise<void>((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener('abort', () => (clearTimeout(timer), resolve()), { once: true });
  });
  if (signal?.aborted) throw interrupted(GOES_ON);
}
