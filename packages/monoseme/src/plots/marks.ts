import type { Scale } from './axes.ts';
import type { Mark } from './spec.ts';
import { color, element, escapeXml, px } from './svg.ts';

/** The area in which marks are drawn, and its scales. */
export interface Area {
  readonly x: Scale;
  readonly y: Scale;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
  /** Height of a category; 0 on a numeric axis. */
  readonly band: number;
}

/** One mark as SVG, and how many of its values could not be shown. */
export interface Drawn {
  readonly svg: string;
  readonly hidden: number;
}

/** What a mark shares with the others of its plot. */
export interface Place {
  readonly series: number;
  /** Of a histogram: where each box begins. */
  readonly base?: Float64Array;
  /** Of bars: which of how many in a category. */
  readonly slot: readonly [number, number];
}

export function drawMark(mark: Mark, area: Area, place: Place): Drawn {
  switch (mark.kind) {
    case 'points':
      return drawPoints(mark, area, place.series);
    case 'line':
      return drawLine(mark, area, place.series);
    case 'interval':
      return drawIntervals(mark, area, place.series);
    case 'histogram':
      return drawHistogram(mark, area, place);
    case 'bars':
      return drawBars(mark, area, place);
    case 'rule':
      return drawRule(mark, area, place.series);
  }
}

type Of<K extends Mark['kind']> = Extract<Mark, { kind: K }>;

const isShown = (...places: number[]) => places.every(Number.isFinite);

function drawPoints(mark: Of<'points'>, { x, y }: Area, series: number): Drawn {
  const path: string[] = [];
  const seen = new Set<string>();
  const dots: string[] = [];
  let hidden = 0;
  for (let i = 0; i < mark.x.length; i++) {
    const [left, top] = [x.at(mark.x[i]), y.at(mark.y[i])];
    if (!isShown(left, top)) hidden++;
    else if (mark.titles?.[i] !== undefined) {
      const title = element('title', {}, escapeXml(mark.titles[i]));
      dots.push(
        element('circle', { cx: left, cy: top, r: 3, fill: color(series), 'fill-opacity': 0.7 }, title),
      );
    } else {
      const spot = `M${Math.round(2 * left) / 2} ${Math.round(2 * top) / 2}h0`;
      if (!seen.has(spot)) path.push(spot);
      seen.add(spot);
    }
  }
  const stroke = { stroke: color(series), 'stroke-width': path.length > 2000 ? 2.5 : 5 };
  const dotted =
    path.length === 0
      ? ''
      : element('path', { d: path.join(''), ...stroke, 'stroke-linecap': 'round', 'stroke-opacity': 0.6 });
  return { svg: dotted + dots.join(''), hidden };
}

function drawLine(mark: Of<'line'>, { x, y }: Area, series: number): Drawn {
  let path = '';
  let hidden = 0;
  let pen = 'M';
  for (let i = 0; i < mark.x.length; i++) {
    const [left, top] = [x.at(mark.x[i]), y.at(mark.y[i])];
    if (isShown(left, top)) {
      path += `${pen}${px(left)} ${px(top)}`;
      pen = 'L';
    } else {
      hidden++;
      pen = 'M';
    }
  }
  const dashes = mark.dashed ? '5 4' : undefined;
  const attributes = {
    fill: 'none',
    stroke: color(series),
    'stroke-width': 1.75,
    'stroke-dasharray': dashes,
  };
  return { svg: path === '' ? '' : element('path', { d: path, ...attributes }), hidden };
}

function drawIntervals(mark: Of<'interval'>, { x, y }: Area, series: number): Drawn {
  let path = '';
  let hidden = 0;
  for (let i = 0; i < mark.x.length; i++) {
    const [left, low, high] = [x.at(mark.x[i]), y.at(mark.low[i]), y.at(mark.high[i])];
    if (isShown(left, low, high)) path += `M${px(left)} ${px(low)}V${px(high)}`;
    else hidden++;
  }
  return {
    svg: path === '' ? '' : element('path', { d: path, stroke: color(series), 'stroke-width': 1.25 }),
    hidden,
  };
}

function drawHistogram(mark: Of<'histogram'>, { x, y, bottom }: Area, { series, base }: Place): Drawn {
  let boxes = '';
  let hidden = 0;
  for (let i = 0; i < mark.counts.length; i++) {
    if (mark.counts[i] === 0) continue;
    const [left, right] = [x.at(mark.edges[i]), x.at(mark.edges[i + 1])];
    const top = y.at(base![i] + mark.counts[i]);
    // On a logarithmic axis a stack begins at the frame.
    const foot = base![i] > 0 ? y.at(base![i]) : Math.min(bottom, Number.isNaN(y.at(0)) ? bottom : y.at(0));
    if (!isShown(left, right, top, foot)) hidden++;
    else {
      const size = {
        x: left + 0.5,
        y: top,
        width: Math.max(0.5, right - left - 1),
        height: Math.max(0, foot - top),
      };
      boxes += element('rect', { ...size, fill: color(series) });
    }
  }
  return { svg: boxes, hidden };
}

function drawBars(mark: Of<'bars'>, { x, y, band }: Area, { series, slot: [slot, slots] }: Place): Drawn {
  const thickness = (0.8 * band) / slots;
  let bars = '';
  let hidden = 0;
  for (let i = 0; i < mark.values.length; i++) {
    const [zero, end] = [x.at(0), x.at(mark.values[i])];
    if (!isShown(zero, end)) {
      hidden++;
      continue;
    }
    const top = y.at(i) - 0.4 * band + slot * thickness;
    const size = {
      x: Math.min(zero, end),
      y: top,
      width: Math.abs(end - zero),
      height: Math.max(1, thickness - 1),
    };
    bars += element('rect', { ...size, fill: color(series) });
    const [low, high] = [x.at(mark.low?.[i] ?? NaN), x.at(mark.high?.[i] ?? NaN)];
    const middle = px(top + thickness / 2);
    if (isShown(low, high))
      bars += element('path', { d: `M${px(low)} ${middle}H${px(high)}`, class: 'frame' });
  }
  return { svg: bars, hidden };
}

function drawRule(mark: Of<'rule'>, { x, y, left, right, top, bottom }: Area, series: number): Drawn {
  const path: string[] = [];
  const [atX, atY] = [x.at(mark.x ?? NaN), y.at(mark.y ?? NaN)];
  if (isShown(atX)) path.push(`M${px(atX)} ${px(top)}V${px(bottom)}`);
  if (isShown(atY)) path.push(`M${px(left)} ${px(atY)}H${px(right)}`);
  if (path.length === 0) return { svg: '', hidden: 1 };
  const stroke = mark.name === undefined ? 'var(--ink)' : color(series);
  return {
    svg: element('path', { d: path.join(''), stroke, 'stroke-dasharray': '4 3', fill: 'none' }),
    hidden: 0,
  };
}
