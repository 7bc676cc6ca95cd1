/** Whether a path holds glob characters. */
export function isGlob(path: string): boolean {
  return /[*?{]/.test(path);
}

/** The part of a glob up to the last slash before its first glob character: where to look. */
export function staticPrefix(glob: string): string {
  const first = glob.search(/[*?{]/);
  return glob.slice(0, glob.lastIndexOf('/', first) + 1);
}

/**
 * A glob as a regular expression over paths with forward slashes: `**` is any folders, `*` and `?` stay within
 * a name, `{a,b}` is a choice (not nested).
 */
export function compileGlob(glob: string): RegExp {
  const source = glob.replace(/\*\*\/|\*+|\?|\{[^{}]*\}|[^*?{]+|./gs, (part) => {
    if (part === '**/') return '(?:[^/]+/)*';
    if (part === '**') return '.*';
    if (part[0] === '*') return '[^/]*';
    if (part === '?') return '[^/]';
    if (/^\{.*\}$/s.test(part)) return `(?:${part.slice(1, -1).split(',').map(escape).join('|')})`;
    return escape(part);
  });
  return new RegExp(`^${source}$`, 's');
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&');
}
