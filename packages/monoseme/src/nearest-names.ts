/**
 * The names closest to a mistyped one: fewest single-character edits (insert, delete, replace), ties in the
 * order of the alphabet. Names that contain the text come first, so that `hook_mlp_out` finds
 * `blocks.0.hook_mlp_out`.
 */
export function nearestNames(text: string, names: Iterable<string>, n = 3): string[] {
  const wanted = text.slice(0, 200).toLowerCase();
  return [...new Set(names)]
    .map((name) => ({ name, distance: distance(wanted, name.toLowerCase()) }))
    .sort((a, b) => a.distance - b.distance || (a.name < b.name ? -1 : 1))
    .slice(0, n)
    .map(({ name }) => name);
}

function distance(wanted: string, name: string): number {
  return wanted.length >= 3 && name.includes(wanted) ? 0 : editDistance(wanted, name);
}

/** Levenshtein's distance, by rows. */
function editDistance(a: string, b: string): number {
  let previous = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const replaced = previous[j - 1] + (a[i - 1] === b[j - 1] ? 0 : 1);
      row.push(Math.min(replaced, previous[j] + 1, row[j - 1] + 1));
    }
    previous = row;
  }
  return previous[b.length];
}
