/** The longest path that is looked at; ours have fewer than 100 characters. */
const MAX_PATH = 1024;

/**
 * The names of the folders and the file that a request's target names, or undefined for a target that can only be an
 * attempt to leave the folder: dot segments, backslashes, NUL and broken percent signs, hidden files, plain or encoded.
 *
 * Takes the target as it came over the wire: URL parsers resolve dot segments before one can see them.
 */
export function requestPath(target: string): string[] | undefined {
  if (target.length > MAX_PATH || !target.startsWith('/')) return undefined;
  const path = target.split(/[?#]/, 1)[0];
  let decoded: string;
  try {
    decoded = decodeURIComponent(path);
  } catch {
    return undefined;
  }
  const names = decoded.slice(1).split('/');
  if (names.at(-1) === '') names.pop();
  return names.every((name) => /^[A-Za-z0-9_][A-Za-z0-9_.-]*$/.test(name)) ? names : undefined;
}
