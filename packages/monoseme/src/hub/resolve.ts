import { mkdir, readFile, realpath, stat } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, join, resolve, sep } from 'node:path';
import { fileError, MonosemeError } from '../errors.ts';
import { atomicWrite } from '../formats/index.ts';
import { downloadFile } from './download.ts';
import { commitOf, type HubConnection, type HubFile, listFiles } from './hub-client.ts';
import { type HubSpec, isHubPath, parseHubPath } from './hub-spec.ts';

export interface HubOptions {
  /** Files wanted of a folder, by their path below it. Default: all. */
  readonly wants?: (path: string) => boolean;
  /** Whether folders below the one named are read too. Default: yes. */
  readonly recursive?: boolean;
  /** More bytes than this are not downloaded. Default: 64 GiB. */
  readonly maxBytes?: number;
  /** Default: `HF_HUB_CACHE`, else `hub` in `HF_HOME`, else `~/.cache/huggingface/hub`. */
  readonly cacheFolder?: string;
  /** Default: `HF_ENDPOINT`, else https://huggingface.co. */
  readonly endpoint?: string;
  /** Default: `HF_TOKEN`. */
  readonly token?: string;
  /** Use only what is in the cache. Default: whether `HF_HUB_OFFLINE` is 1. */
  readonly offline?: boolean;
  readonly signal?: AbortSignal;
  onProgress?(doneBytes: number, totalBytes: number, path: string): void;
}

const MAX_BYTES = 64 * 2 ** 30;

/**
 * The local path for a path: itself, or for `hf:owner/repo[/path][@revision]` (`hf:datasets/…` for a data set) the file
 * or folder in the cache, downloaded where it is missing.
 *
 * The cache is that of Hugging Face's own tools, `models--owner--repo/snapshots/<commit>/<path>`: what they have
 * downloaded is used, and they use what is downloaded here. A file gets its name there once its length and hash are
 * those of the repository; what was cut off stays in `partial/` and is gone on with. A pinned commit whose file is there
 * needs no connection.
 *
 * @throws {MonosemeError} ERR_OPTION (no such form), ERR_NOT_FOUND (repository, revision, path), ERR_GATED, ERR_OFFLINE,
 *   ERR_DOWNLOAD, ERR_LIMIT (past `maxBytes`), ERR_FORMAT (an answer with unsafe paths), ERR_INTERRUPTED
 */
export async function resolveHubPath(path: string, options: HubOptions = {}): Promise<string> {
  if (!isHubPath(path)) return path;
  const spec = parseHubPath(path);
  const repoFolder = join(options.cacheFolder ?? defaultCacheFolder(), repoFolderName(spec));
  const isCommit = /^[0-9a-f]{40}$/.test(spec.revision);
  const cached = (commit: string) => join(repoFolder, 'snapshots', commit, spec.path);

  if (options.offline ?? process.env['HF_HUB_OFFLINE'] === '1') {
    const commit = isCommit ? spec.revision : await readRef(repoFolder, spec);
    if (commit !== undefined && (await sizeInside(repoFolder, cached(commit))) !== undefined)
      return cached(commit);
    throw new MonosemeError(
      'ERR_OFFLINE',
      `${path} is not in the cache ${repoFolder}, and HF_HUB_OFFLINE is 1.`,
      'Run the command once with a connection and without it.',
    );
  }
  if (isCommit && spec.path !== '' && (await isFile(repoFolder, cached(spec.revision))))
    return cached(spec.revision);

  const hub = connection(options);
  const commit = isCommit ? spec.revision : await commitOf(hub, spec);
  const { isFolder, files } = await listFiles(hub, spec, commit, options.recursive ?? true);
  const prefix = spec.path === '' ? '' : `${spec.path}/`;
  const wanted = isFolder
    ? files.filter(
        (file) => file.path.startsWith(prefix) && (options.wants?.(file.path.slice(prefix.length)) ?? true),
      )
    : files;
  if (wanted.length === 0)
    throw new MonosemeError(
      'ERR_NOT_FOUND',
      `${path} holds none of the files needed (it holds: ${names(files)}).`,
      'Name the folder in it that holds them.',
    );
  expectBytes(path, wanted, options.maxBytes ?? MAX_BYTES);
  await downloadAll(hub, spec, commit, wanted, repoFolder, options);
  if (!isCommit) await atomicWrite(refPath(repoFolder, spec), commit);
  return cached(commit);
}

/**
 * The files at a path of the hub, not downloaded, and the commit that pins them. The path is that of a file or of a
 * folder, of which all files at any depth are listed.
 *
 * @throws {MonosemeError} as {@link resolveHubPath}
 */
export async function listHubFiles(
  path: string,
  options: HubOptions = {},
): Promise<{ commit: string; isFolder: boolean; files: HubFile[] }> {
  const spec = parseHubPath(path);
  const hub = connection(options);
  const commit = await commitOf(hub, spec);
  const repoFolder = join(options.cacheFolder ?? defaultCacheFolder(), repoFolderName(spec));
  if (commit !== spec.revision) await atomicWrite(refPath(repoFolder, spec), commit);
  return { commit, ...(await listFiles(hub, spec, commit, true)) };
}

async function downloadAll(
  hub: HubConnection,
  spec: HubSpec,
  commit: string,
  files: readonly HubFile[],
  repoFolder: string,
  { onProgress }: HubOptions,
): Promise<void> {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  let before = 0;
  for (const file of files) {
    const target = join(repoFolder, 'snapshots', commit, file.path);
    if ((await sizeInside(repoFolder, target)) !== file.bytes) {
      await mkdir(dirname(target), { recursive: true });
      await sizeInside(repoFolder, dirname(target));
      const to = { path: target, partial: join(repoFolder, 'partial', file.hash) };
      const start = before;
      await downloadFile(hub, spec, commit, file, to, (done) => onProgress?.(start + done, total, file.path));
    }
    before += file.bytes;
    onProgress?.(before, total, file.path);
  }
}

function expectBytes(path: string, files: readonly HubFile[], most: number): void {
  const total = files.reduce((sum, file) => sum + file.bytes, 0);
  if (total <= most) return;
  throw new MonosemeError(
    'ERR_LIMIT',
    `${path} is ${files.length} files with ${total} bytes, more than the ${most} that are downloaded at once.`,
    'Name a folder or file in it.',
  );
}

function connection({ endpoint, token, signal }: HubOptions): HubConnection {
  const url = endpoint ?? process.env['HF_ENDPOINT'] ?? 'https://huggingface.co';
  const key = token ?? process.env['HF_TOKEN'];
  return { endpoint: url.replace(/\/+$/, ''), ...(key && { token: key }), ...(signal && { signal }) };
}

/** Whether a local path is in the cache, where only what the hub has may stand. */
export function isInHubCache(path: string): boolean {
  return resolve(path).startsWith(resolve(defaultCacheFolder()) + sep);
}

function defaultCacheFolder(): string {
  const { HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME } = process.env;
  return (
    HF_HUB_CACHE ?? join(HF_HOME ?? join(XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'huggingface'), 'hub')
  );
}

function repoFolderName({ kind, repo }: HubSpec): string {
  return `${kind}--${repo.replace('/', '--')}`;
}

function refPath(repoFolder: string, { revision }: HubSpec): string {
  return join(repoFolder, 'refs', ...revision.split('/'));
}

/** The commit that a branch stood for when it was last asked about. */
async function readRef(repoFolder: string, spec: HubSpec): Promise<string | undefined> {
  try {
    const commit = (await readFile(refPath(repoFolder, spec), 'utf8')).trim();
    return /^[0-9a-f]{40}$/.test(commit) ? commit : undefined;
  } catch {
    return undefined;
  }
}

async function isFile(repoFolder: string, path: string): Promise<boolean> {
  return (await sizeInside(repoFolder, path)) !== undefined && (await stat(path)).isFile();
}

/**
 * Size of what stands at a path of the cache, undefined when nothing does. Other tools keep links there, to blobs in
 * the same repository's folder. @throws {MonosemeError} ERR_FILE for one that leads elsewhere
 */
async function sizeInside(repoFolder: string, path: string): Promise<number | undefined> {
  try {
    const [root, real] = await Promise.all([realpath(repoFolder), realpath(path)]);
    if (real.startsWith(`${root}${sep}`)) return (await stat(real)).size;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw fileError(error, `read ${path}`);
  }
  throw new MonosemeError(
    'ERR_FILE',
    `${path} leads out of the cache folder ${repoFolder}.`,
    `Remove ${dirname(path)} and run the same command again.`,
  );
}

function names(files: readonly HubFile[]): string {
  const some = files.slice(0, 6).map(({ path }) => path);
  return `${some.join(', ')}${files.length > 6 ? ', …' : ''}` || 'no files';
}
