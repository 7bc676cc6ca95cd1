import { MonosemeError } from '../errors.ts';

/** A file or folder of a repository on the hub. */
export interface HubSpec {
  readonly kind: 'models' | 'datasets';
  /** `owner/name` */
  readonly repo: string;
  /** Path of a file or folder in the repository; empty for all of it. */
  readonly path: string;
  /** Branch, tag or commit. */
  readonly revision: string;
}

const PREFIX = 'hf:';
const NAME = /^\w[\w.-]{0,95}$/;
const REVISION = /^\w[\w.-]*(\/\w[\w.-]*)*$/;

/** Whether a path names something on the hub. */
export function isHubPath(path: string): boolean {
  return path.startsWith(PREFIX);
}

/**
 * Parse `hf:owner/repo[/path][@revision]`, or `hf:datasets/owner/repo…` for a data set. The revision is `main` unless
 * it is given; a commit pins the bytes.
 *
 * @throws {MonosemeError} ERR_OPTION
 */
export function parseHubPath(text: string): HubSpec {
  const fail = (what: string) =>
    new MonosemeError(
      'ERR_OPTION',
      `"${text}": ${what}.`,
      'Write hf:owner/repo/path or hf:owner/repo/path@revision.',
    );
  const [, location, revision = 'main'] = /^hf:([^@]*)(?:@(.*))?$/.exec(text) ?? [];
  if (location === undefined) throw fail('it does not start with hf:, or has more than one @');
  const isDataset = location.startsWith('datasets/');
  const [owner, name, ...path] = location
    .replace(/^datasets\//, '')
    .replace(/\/+$/, '')
    .split('/');
  if (!isName(owner) || !isName(name)) throw fail('it names no repository');
  if (path.length > 0 && !isRelativePath(path.join('/')))
    throw fail('its path is not one inside a repository');
  if (!REVISION.test(revision) || revision.includes('..')) throw fail(`"${revision}" is no revision`);
  return {
    kind: isDataset ? 'datasets' : 'models',
    repo: `${owner}/${name}`,
    path: path.join('/'),
    revision,
  };
}

/** `--` would make two repositories one folder of the cache. */
function isName(name: string | undefined): boolean {
  return name !== undefined && NAME.test(name) && !/--|\.\./.test(name);
}

/**
 * Whether a path from outside stays below the folder that it is joined to, on every system: relative, with `/`, no
 * empty, `.` or `..` segment, no drive, no backslash, no control character.
 */
export function isRelativePath(path: string): boolean {
  if (path.length > 1024 || /[\\:\u0000-\u001f]/.test(path)) return false;
  return path.split('/').every((part) => part !== '' && part !== '.' && part !== '..');
}
