/** Rows as aligned columns, two spaces apart. Columns in which every cell with a text reads as a number are right-aligned. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const all = [header, ...rows];
  const widths = header.map((_, column) => Math.max(...all.map((row) => width(row[column]))));
  const isNumeric = header.map((_, column) =>
    rows.every((row) => /^([-+~]?[\d.,]+([eE][-+]?\d+)?( ?%| ?[kMG])?|–)?$/.test(row[column])),
  );
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => {
        const fill = ' '.repeat(widths[column] - width(cell));
        return isNumeric[column] ? fill + cell : cell + fill;
      })
      .join('  ')
      .trimEnd();
  return [line(header), ...rows.map(line)].join('\n');
}

/** A text in lines of at most `columns`, each behind `indent` spaces; a word that is longer stands alone. */
export function wrapped(text: string, indent: number, columns: number): string {
  const lines: string[] = [];
  for (const word of text.split(' ')) {
    const line = lines.length === 0 ? word : `${lines.at(-1)} ${word}`;
    if (lines.length > 0 && indent + width(line) <= columns) lines[lines.length - 1] = line;
    else lines.push(word);
  }
  return lines.map((line) => ' '.repeat(indent) + line).join('\n');
}

/** Columns a text takes on a terminal: wide East Asian characters take two, combining marks none. */
function width(text: string): number {
  let columns = 0;
  for (const character of text) {
    if (/\p{Mn}|\p{Me}|\p{Cf}/u.test(character)) continue;
    columns +=
      /[\u1100-\u115f\u2e80-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6]|[\u{1f300}-\u{1faff}]|[\u{20000}-\u{3fffd}]/u.test(
        character,
      )
        ? 2
        : 1;
  }
  return columns;
}
