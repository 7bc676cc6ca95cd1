/** Text made safe for HTML content and quoted attributes. */
export function escapeHtml(text: string): string {
  return text.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;').replace(/"/g, '&quot;');
}

/** A part of a report. Everything in it is plain text but the figures, which are SVG documents. */
export interface ReportSection {
  readonly title: string;
  /** Paragraphs: what was measured and how, and notes on what is missing. */
  readonly text?: readonly string[];
  readonly tables?: readonly ReportTable[];
  /** SVG documents, as `plots/` makes them. */
  readonly figures?: readonly string[];
}

export interface ReportTable {
  readonly caption?: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

export interface HtmlReport {
  readonly title: string;
  readonly summary: string;
  readonly sections: readonly ReportSection[];
  /** What was run on what: commands, hashes, versions; names and values, printed at the end. */
  readonly provenance: Readonly<Record<string, string>>;
}

const STYLE = `
:root { color-scheme: light dark; --line: #d4d4d4; --soft: #666 }
@media (prefers-color-scheme: dark) { :root { --line: #454545; --soft: #a5a5a5 } body { background: #17181a; color: #e6e6e6 } }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 66rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.6rem } h2 { font-size: 1.2rem; margin-top: 2.2rem; border-top: 1px solid var(--line); padding-top: 1rem }
nav a { margin-right: 1rem } p { max-width: 46rem } .scroll { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; margin: 0.8rem 0 }
caption { text-align: left; color: var(--soft); padding-bottom: 0.2rem }
th, td { text-align: left; padding: 0.15rem 0.9rem 0.15rem 0; border-bottom: 1px solid var(--line); vertical-align: top }
td:first-child { white-space: pre-wrap }
.n { text-align: right } th { font-weight: 600 }
figure { margin: 0.6rem 0.6rem 0.6rem 0; display: inline-block; max-width: 100% } svg { max-width: 100%; height: auto }
footer { color: var(--soft); font-size: 0.85rem; overflow-wrap: anywhere } dt { font-weight: 600 } dd { margin: 0 0 0.3rem }
`;

/** A report as one HTML document. It needs no network and no script, and follows the reader's light or dark scheme. */
export function htmlReport({ title, summary, sections, provenance }: HtmlReport): string {
  const links = sections.map(({ title }, i) => `<a href="#s${i}">${escapeHtml(title)}</a>`).join(' ');
  const entries = Object.entries(provenance).map(
    ([name, value]) => `<dt>${escapeHtml(name)}</dt><dd><code>${escapeHtml(value)}</code></dd>`,
  );
  return [
    '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    `<title>${escapeHtml(title)}</title>\n<style>${STYLE}</style>\n</head>\n<body>`,
    `<h1>${escapeHtml(title)}</h1>\n<p>${escapeHtml(summary)}</p>\n<nav>${links}</nav>`,
    ...sections.map(renderSection),
    `<footer><h2>How to make this again</h2>\n<dl>${entries.join('\n')}</dl></footer>`,
    '</body>\n</html>\n',
  ].join('\n');
}

function renderSection(
  { title, text = [], tables = [], figures = [] }: ReportSection,
  index: number,
): string {
  return [
    `<section id="s${index}">\n<h2>${escapeHtml(title)}</h2>`,
    ...text.map((paragraph) => `<p>${escapeHtml(paragraph)}</p>`),
    ...figures.map((svg) => `<figure>${svg}</figure>`),
    ...tables.map(renderTable),
    '</section>',
  ].join('\n');
}

const NUMBER = /^[-−+]?[\d.,]+(e[-−]?\d+)?( ?[%kMG]| nats)?$/;

/** Columns of numbers stand right, whatever is missing in them. */
function renderTable({ caption, header, rows }: ReportTable): string {
  const isNumeric = header.map((_, column) => {
    const cells = rows.map((row) => row[column]).filter((cell) => cell !== '' && cell !== '–');
    return cells.length > 0 && cells.every((cell) => NUMBER.test(cell));
  });
  const cell = (tag: 'td' | 'th') => (value: string, column: number) =>
    `<${tag}${isNumeric[column] ? ' class="n"' : ''}>${escapeHtml(value)}</${tag}>`;
  return [
    '<div class="scroll"><table>',
    caption === undefined ? '' : `<caption>${escapeHtml(caption)}</caption>`,
    `<thead><tr>${header.map(cell('th')).join('')}</tr></thead>`,
    `<tbody>${rows.map((row) => `<tr>${row.map(cell('td')).join('')}</tr>`).join('\n')}</tbody>`,
    '</table></div>',
  ].join('');
}
