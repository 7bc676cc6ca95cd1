/** Text made safe for the content and the attributes of XML; characters that XML forbids are dropped. */
export function escapeXml(text: string): string {
  return text
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '')
    .replace(/&/g, '&amp;')
    .replace(/</g, '&lt;')
    .replace(/>/g, '&gt;')
    .replace(/"/g, '&quot;');
}

/** An element. Attributes that are undefined are left out; numbers are rounded to hundredths of a pixel. */
export function element(
  tag: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  ...content: string[]
): string {
  const written = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([name, value]) => ` ${name}="${typeof value === 'number' ? px(value) : escapeXml(value!)}"`)
    .join('');
  return content.length === 0 ? `<${tag}${written}/>` : `<${tag}${written}>${content.join('')}</${tag}>`;
}

export function text(
  content: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
): string {
  return element('text', attributes, escapeXml(content));
}

/** A length in pixels, as short as hundredths allow. */
export function px(value: number): string {
  return String(Math.round(value * 100) / 100);
}

/** Width of a text of the plot's font, roughly. */
export function textWidth(content: string, size = 11): number {
  return [...content].length * size * 0.58;
}

/** Distinct in hue and lightness, readable on white and on near-black; after Okabe and Ito. */
const LIGHT = ['#0060a8', '#c2500a', '#00795a', '#a0408a', '#8a6d00', '#4a4a4a', '#2f9ad0', '#b3203a'];
const DARK = ['#64b5f6', '#ff9d57', '#4fd1a5', '#e79bd3', '#e8c547', '#bdbdbd', '#9bdcff', '#ff8095'];

const variables = (colors: readonly string[], ink: string, soft: string, ground: string) =>
  `${colors.map((color, i) => `--p${i}:${color};`).join('')}--ink:${ink};--soft:${soft};--ground:${ground};`;

/** The style of every plot: it follows the reader's colour scheme, standing alone or inside a page. */
const STYLE = [
  `.mono-plot{${variables(LIGHT, '#1b1b1b', '#d4d4d4', '#ffffff')}font:11px system-ui,sans-serif}`,
  `@media (prefers-color-scheme:dark){.mono-plot{${variables(DARK, '#e6e6e6', '#454545', '#17181a')}}}`,
  '.mono-plot text{fill:var(--ink)}.mono-plot .title{font-size:13px;font-weight:600}',
  '.mono-plot .grid{stroke:var(--soft);stroke-width:1}.mono-plot .frame{stroke:var(--ink);stroke-width:1}',
  '.mono-plot .note{font-style:italic}',
].join('');

export function color(series: number): string {
  return `var(--p${series % LIGHT.length})`;
}

/** A whole SVG document, described by its title for readers who do not see it. */
export function svgDocument(width: number, height: number, title: string, content: string): string {
  return element(
    'svg',
    {
      xmlns: 'http://www.w3.org/2000/svg',
      class: 'mono-plot',
      role: 'img',
      viewBox: `0 0 ${px(width)} ${px(height)}`,
      width,
      height,
    },
    element('title', {}, escapeXml(title)),
    element('style', {}, STYLE),
    element('rect', { width, height, fill: 'var(--ground)' }),
    content,
  );
}
