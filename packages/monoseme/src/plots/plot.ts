import { type Extent, extentOf, numericScale, type Scale } from './axes.ts';
import { type Area, drawMark } from './marks.ts';
import { isCategoryAxis, type Mark, type PlotSpec, stackedBases } from './spec.ts';
import { color, element, px, svgDocument, text, textWidth } from './svg.ts';

const WIDTH = 480;
const HEIGHT = 300;
const PIXELS_PER_CATEGORY = 24;
const LINE = 16;

/** One panel: its SVG without a document around it, and its size. */
interface Panel {
  readonly svg: string;
  readonly width: number;
  readonly height: number;
}

/**
 * A plot as an SVG document, in one string. It needs no script and no network, follows the reader's light or dark
 * scheme, and can stand in an HTML page or in a file.
 *
 * Values that an axis cannot show are left out, and a note below the plot says how many. Without any value the plot
 * says "no data". The same input gives the same string.
 */
export function plot(spec: PlotSpec): string {
  const { svg, width, height } = panel(spec, extentOf(spec));
  return svgDocument(width, height, spec.title, svg);
}

/**
 * Several plots in one document, row after row.
 *
 * @param options.columns how many stand side by side (2); `sharedAxes`: all have the same reach, so that they can be
 * compared (only of numeric axes)
 */
export function smallMultiples(
  title: string,
  specs: readonly PlotSpec[],
  options: { readonly columns?: number; readonly sharedAxes?: boolean } = {},
): string {
  const { columns = 2, sharedAxes = false } = options;
  const extents = specs.map(extentOf);
  const common: Extent = { x: union(extents.map(({ x }) => x)), y: union(extents.map(({ y }) => y)) };
  const panels = specs.map((spec, i) =>
    panel({ width: 320, height: 220, ...spec }, sharedAxes ? common : extents[i]),
  );
  let top = LINE + 8;
  let right = textWidth(title, 13) + 16;
  let content = text(title, { x: 8, y: LINE, class: 'title' });
  for (let start = 0; start < panels.length; start += columns) {
    const row = panels.slice(start, start + columns);
    let left = 0;
    for (const { svg, width } of row) {
      content += element('g', { transform: `translate(${px(left)} ${px(top)})` }, svg);
      left += width;
    }
    right = Math.max(right, left);
    top += Math.max(...row.map(({ height }) => height));
  }
  return svgDocument(right, top, title, content);
}

function union(reaches: readonly (readonly [number, number] | undefined)[]): Extent['x'] {
  const known = reaches.filter((reach) => reach !== undefined);
  if (known.length === 0) return undefined;
  return [Math.min(...known.map(([low]) => low)), Math.max(...known.map(([, high]) => high))];
}

function panel(spec: PlotSpec, extent: Extent): Panel {
  const nCategories = isCategoryAxis(spec.y) ? spec.y.categories.length : 0;
  const names = [...new Set(spec.marks.flatMap(({ name }) => (name === undefined ? [] : [name])))];
  const width = spec.width ?? WIDTH;
  const legend = legendRows(names, width);
  const top = 30 + LINE * legend.length;
  const content = Math.max(1, nCategories) * PIXELS_PER_CATEGORY;
  const height = spec.height ?? (nCategories > 0 ? top + content + 42 : HEIGHT);
  const area = layOut(spec, extent, { width, height, top });

  const bases = stackedBases(spec.marks);
  const bars = spec.marks.filter(({ kind }) => kind === 'bars');
  let hidden = 0;
  let marks = '';
  for (const mark of spec.marks) {
    const series = mark.name === undefined ? 0 : names.indexOf(mark.name);
    const slot = [bars.indexOf(mark), bars.length] as const;
    const drawn = drawMark(mark, area, { series, base: bases.get(mark), slot });
    hidden += drawn.hidden;
    marks += drawn.svg;
  }
  const svg = [
    text(spec.title, { x: 8, y: LINE, class: 'title' }),
    drawLegend(legend, names),
    drawFrame(spec, area, height),
    element('svg', { x: area.left - 4, y: area.top - 4, ...innerSize(area) }, marks),
    drawNote(spec.marks, hidden, area),
  ];
  return { svg: svg.join(''), width, height };
}

/** Marks are clipped a little outside the frame, so that dots on it are whole. */
function innerSize({ left, right, top, bottom }: Area): Record<string, string | number> {
  const [width, height] = [right - left + 8, bottom - top + 8];
  return { width, height, viewBox: `${px(left - 4)} ${px(top - 4)} ${px(width)} ${px(height)}` };
}

/** Scales of a panel; the left margin has room for the longest label. */
function layOut(
  { x, y }: PlotSpec,
  extent: Extent,
  { width, height, top }: { width: number; height: number; top: number },
): Area {
  const bottom = height - 42;
  const right = width - 16;
  const band = isCategoryAxis(y) ? (bottom - top) / Math.max(1, y.categories.length) : 0;
  const vertical: Scale = isCategoryAxis(y)
    ? {
        at: (value) => top + (value + 0.5) * band,
        ticks: y.categories.map((label, value) => ({ value, label: shortened(label) })),
      }
    : numericScale(y, extent.y, bottom, top);
  const left = 28 + Math.max(8, ...vertical.ticks.map(({ label }) => textWidth(label)));
  return { x: numericScale(x, extent.x, left, right), y: vertical, left, right, top, bottom, band };
}

function shortened(label: string): string {
  const characters = [...label];
  return characters.length <= 28 ? label : `${characters.slice(0, 27).join('')}…`;
}

function drawFrame({ x, y }: PlotSpec, area: Area, height: number): string {
  const { left, right, top, bottom } = area;
  const parts: string[] = [];
  for (const { value, label } of area.x.ticks) {
    const at = area.x.at(value);
    parts.push(element('path', { d: `M${px(at)} ${px(top)}V${px(bottom)}`, class: 'grid' }));
    parts.push(text(label, { x: at, y: bottom + 15, 'text-anchor': 'middle' }));
  }
  for (const { value, label } of area.y.ticks) {
    const at = area.y.at(value);
    if (area.band === 0)
      parts.push(element('path', { d: `M${px(left)} ${px(at)}H${px(right)}`, class: 'grid' }));
    parts.push(text(label, { x: left - 6, y: at + 4, 'text-anchor': 'end' }));
  }
  parts.push(
    element('path', {
      d: `M${px(left)} ${px(top)}V${px(bottom)}H${px(right)}`,
      class: 'frame',
      fill: 'none',
    }),
  );
  const middle = (left + right) / 2;
  parts.push(text(x.label, { x: middle, y: height - 10, 'text-anchor': 'middle' }));
  const turn = `translate(14 ${px((top + bottom) / 2)}) rotate(-90)`;
  parts.push(text(y.label, { transform: turn, 'text-anchor': 'middle' }));
  return parts.join('');
}

function drawNote(marks: readonly Mark[], hidden: number, { left, right, top, bottom }: Area): string {
  const isEmpty = marks.every((mark) => mark.kind === 'rule' || lengthOf(mark) === 0);
  const middle = (left + right) / 2;
  if (isEmpty)
    return text('no data', { x: middle, y: (top + bottom) / 2, 'text-anchor': 'middle', class: 'note' });
  if (hidden === 0) return '';
  const note = `${hidden} ${hidden === 1 ? 'value' : 'values'} not shown`;
  return text(note, { x: right, y: top + 12, 'text-anchor': 'end', class: 'note' });
}

function lengthOf(mark: Exclude<Mark, { kind: 'rule' }>): number {
  if (mark.kind === 'histogram') return mark.counts.length;
  return mark.kind === 'bars' ? mark.values.length : mark.x.length;
}

/** Entries of the legend, as many a row as fit. A single name needs none only when there are no names at all. */
function legendRows(names: readonly string[], width: number): string[][] {
  const rows: string[][] = [];
  let used = Infinity;
  for (const name of names) {
    const needed = textWidth(name) + 28;
    if (used + needed > width - 16) {
      rows.push([]);
      used = 0;
    }
    rows.at(-1)!.push(name);
    used += needed;
  }
  return rows;
}

function drawLegend(rows: readonly (readonly string[])[], names: readonly string[]): string {
  let out = '';
  rows.forEach((row, i) => {
    let left = 8;
    const top = 24 + i * LINE;
    for (const name of row) {
      out += element('rect', {
        x: left,
        y: top,
        width: 10,
        height: 10,
        rx: 2,
        fill: color(names.indexOf(name)),
      });
      out += text(name, { x: left + 14, y: top + 9 });
      left += textWidth(name) + 28;
    }
  });
  return out;
}
