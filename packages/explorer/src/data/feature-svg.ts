import type { FeatureIndex } from './feature-index.ts';
import type { Example, FeaturePage } from './feature-page.ts';
import { count, figure, percent, signed } from './format.ts';
import { tokenLabel, visible } from './segments.ts';
import { activationOf, highlightOf, holdsPeak } from '../parts/tokens.ts';

const WIDTH = 760;
const LINE = 19;
const CHARACTER = 7.2;
/** Where the peaks stand, and how much text fits before and behind. */
const PEAK_X = 330;
const BEFORE = 36;
const AFTER = 54;
const EXAMPLES = 12;
const HISTOGRAM = { width: 300, height: 60 };

/** A figure of a feature for a paper: histogram, logits, strongest examples on one scale, legend. No outside fonts. */
export function featureSvg(index: FeatureIndex, page: FeaturePage): string {
  const { feature, details } = page;
  const { dictionary } = index.manifest;
  const shown = page.examples.filter(({ row }) => row.group === 'top').slice(0, EXAMPLES);
  const top = 132;
  const height = top + 24 + shown.length * LINE + 40;
  const token = (id: number) => tokenLabel(index.vocabulary.text(id));
  const logits = details.top_logit_tokens
    .slice(0, 5)
    .map((id, i) => `${token(id)} ${signed(details.top_logits[i])}`);
  const parts = [
    text(0, 16, `Feature ${page.latent}`, 'font-size="16" font-weight="600"'),
    text(0, 34, `${dictionary.model_name}, ${dictionary.hook_name}`, 'fill="#666"'),
    text(
      0,
      52,
      `density ${percent(feature.density)}, ${count(feature.n_fired)} firings, largest ${figure(feature.max_activation)}`,
      'fill="#666"',
    ),
    logits.length > 0 ? text(0, 76, 'raises', 'fill="#666"') : '',
    ...logits.map((line, i) =>
      text(
        48 + (i % 2) * 170,
        76 + Math.floor(i / 2) * 16,
        line,
        'font-family="monospace" font-size="11.5" fill="#2f6db5"',
      ),
    ),
    `<g transform="translate(${WIDTH - HISTOGRAM.width} 8)">${histogram(details.histogram)}</g>`,
    text(WIDTH - HISTOGRAM.width, HISTOGRAM.height + 22, '0', 'fill="#666" font-size="11"'),
    text(
      WIDTH,
      HISTOGRAM.height + 22,
      figure(feature.max_activation),
      'fill="#666" font-size="11" text-anchor="end"',
    ),
    ...shown.map((example, i) => exampleLine(example, feature.max_activation, top + 24 + i * LINE)),
    legend(feature.max_activation, height - 14),
  ];
  return (
    `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="-16 -8 ${WIDTH + 32} ${height + 16}" ` +
    `font-family="Helvetica, Arial, sans-serif" font-size="12.5">\n<rect x="-16" y="-8" width="${WIDTH + 32}" height="${height + 16}" fill="#fff"/>\n` +
    `${parts.filter(Boolean).join('\n')}\n</svg>\n`
  );
}

function histogram(counts: readonly number[]): string {
  const largest = Math.log1p(Math.max(1, ...counts));
  const width = HISTOGRAM.width / counts.length;
  return counts
    .map((n, i) => {
      const height = (Math.log1p(n) / largest) * HISTOGRAM.height;
      return `<rect x="${round(i * width)}" y="${round(HISTOGRAM.height - height)}" width="${round(width - 0.5)}" height="${round(height)}" fill="${heat((i + 0.5) / counts.length)}"/>`;
    })
    .join('');
}

function exampleLine({ row, segments }: Example, max: number, y: number): string {
  const highlight = highlightOf(row.token_index, row.activation, row.near_offsets, row.near_activations, max);
  const peak = Math.max(
    0,
    segments.findIndex((segment) => holdsPeak(segment, highlight)),
  );
  const pieces: string[] = [
    text(34, y, figure(row.activation), 'fill="#666" text-anchor="end" font-size="11"'),
  ];
  let x = PEAK_X;
  for (let i = peak - 1; i >= 0; i--) {
    x -= visible(segments[i].text).length * CHARACTER;
    if (x < PEAK_X - BEFORE * CHARACTER) break;
    pieces.push(piece(segments[i].text, activationOf(segments[i], highlight) / max, x, y, false));
  }
  x = PEAK_X;
  for (let i = peak; i < segments.length; i++) {
    const width = visible(segments[i].text).length * CHARACTER;
    if (x + width > PEAK_X + AFTER * CHARACTER) break;
    pieces.push(piece(segments[i].text, activationOf(segments[i], highlight) / max, x, y, i === peak));
    x += width;
  }
  return pieces.join('');
}

function piece(content: string, strength: number, x: number, y: number, isPeak: boolean): string {
  const shown = visible(content);
  const width = shown.length * CHARACTER;
  const back =
    strength > 0
      ? `<rect x="${round(x)}" y="${y - 13}" width="${round(width)}" height="17" rx="2" fill="${heat(strength)}"/>`
      : '';
  return (
    back +
    text(
      round(x),
      y,
      shown,
      `font-family="monospace" font-size="12" textLength="${round(width)}" xml:space="preserve"${isPeak ? ' font-weight="700"' : ''}`,
    )
  );
}

function legend(max: number, y: number): string {
  const steps = Array.from(
    { length: 24 },
    (_, i) => `<rect x="${34 + i * 5}" y="${y - 9}" width="5.2" height="9" fill="${heat((i + 0.5) / 24)}"/>`,
  );
  return `${text(24, y, '0', 'fill="#666" font-size="11"')}${steps.join('')}${text(160, y, `${figure(max)}  activation`, 'fill="#666" font-size="11"')}`;
}

/** White to dark orange, as on the page. */
function heat(strength: number): string {
  const share = 0.08 + 0.92 * Math.min(1, Math.max(0, strength));
  const mix = [240, 140, 46].map((to) => Math.round(255 + (to - 255) * share));
  return `rgb(${mix.join(',')})`;
}

function text(x: number, y: number, content: string, attributes: string): string {
  return `<text x="${x}" y="${y}" ${attributes}>${escape(content)}</text>`;
}

function escape(content: string): string {
  return (
    content
      .replaceAll('&', '&amp;')
      .replaceAll('<', '&lt;')
      .replaceAll('>', '&gt;')
      .replaceAll('"', '&quot;')
      // Characters that XML cannot hold.
      .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, '\ufffd')
  );
}

function round(value: number): number {
  return Math.round(value * 10) / 10;
}
