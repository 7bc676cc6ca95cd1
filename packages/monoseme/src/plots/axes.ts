import { scaleLinear, scaleLog } from 'd3-scale';
import { isCategoryAxis, type Mark, type NumericAxis, type PlotSpec, stackedBases } from './spec.ts';

/** A place for every value that the axis can show; NaN for the others. */
export interface Scale {
  at(value: number): number;
  readonly ticks: readonly { readonly value: number; readonly label: string }[];
}

/** Where a plot's marks reach, before rounding; undefined for an axis without any value. */
export interface Extent {
  readonly x: readonly [number, number] | undefined;
  readonly y: readonly [number, number] | undefined;
}

/** A numeric axis over pixels from `start` to `end`. */
export function numericScale(
  axis: NumericAxis,
  extent: readonly [number, number] | undefined,
  start: number,
  end: number,
): Scale {
  const nTicks = Math.max(2, Math.round(Math.abs(end - start) / 65));
  const log = axis.scale === 'log';
  const reach = axis.domain ?? widened(extent ?? (log ? [0.1, 1] : [0, 1]), log);
  const isNarrow = log && axis.domain === undefined && reach[1] / reach[0] < NARROW;
  const scale = log ? scaleLog() : scaleLinear();
  scale.domain(isNarrow ? toSteps(reach) : reach).range([start, end]);
  if (axis.domain === undefined && !isNarrow) scale.nice();
  const [low, high] = scale.domain();
  return {
    // An axis ends beyond its outermost value, so that its ticks may be where no value could.
    at: (value) => (canShow(value, log) || (value >= low && value <= high) ? scale(value) : NaN),
    ticks: log
      ? logTicks(low, high, nTicks)
      : scale.ticks(nTicks).map((value) => ({ value, label: tickLabel(value) })),
  };
}

/** Beyond these sizes the arithmetic of an axis overflows. */
function canShow(value: number, log: boolean): boolean {
  return Math.abs(value) <= 1e300 && (!log || value >= 1e-280);
}

/** A domain of no width, or of one that rounding would swallow, gets some. */
function widened([low, high]: readonly [number, number], log: boolean): [number, number] {
  const size = Math.max(Math.abs(low), Math.abs(high));
  if (high - low > 1e-12 * size && high - low > 1e-290) return [low, high];
  if (log) return [low / 2, high * 2];
  const by = size > 1e-280 ? size / 2 : 1;
  return [low - by, high + by];
}

/** Below so many times its beginning a logarithmic axis is too short for powers of ten alone. */
const NARROW = 100;

/** 1, 2 and 5 of every power of ten around a narrow reach, ascending. */
function stepsAround(low: number, high: number): number[] {
  const powers = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++)
    powers.push(power);
  return powers.flatMap((power) => [1, 2, 5].map((step) => Number(`${step}e${power}`)));
}

/** The reach rounded outwards to such steps. */
function toSteps([low, high]: readonly [number, number]): [number, number] {
  const steps = stepsAround(low, high);
  return [steps.findLast((step) => step <= low) as number, steps.find((step) => step >= high) as number];
}

/** Steps on a narrow axis, else powers of ten; where there are not two, the numbers that a linear axis would take. */
function logTicks(low: number, high: number, nTicks: number): Scale['ticks'] {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const last = Math.floor(Math.log10(high) + 1e-9);
  const step = Math.max(1, Math.ceil((last - first + 1) / nTicks));
  const values: number[] = [];
  if (high / low <= NARROW)
    values.push(...stepsAround(low, high).filter((value) => value >= low && value <= high));
  else for (let power = first; power <= last; power += step) values.push(Number(`1e${power}`));
  const chosen = values.length >= 2 ? values : scaleLinear().domain([low, high]).ticks(nTicks);
  return chosen.map((value) => ({ value, label: tickLabel(value) }));
}

/** `0.001`, `25`, `1500`, `2e6`, `1e−5`: as short as the number allows. */
function tickLabel(value: number): string {
  const size = Math.abs(value);
  const short = Number(value.toPrecision(6));
  if (size !== 0 && (size < 1e-3 || size >= 1e5))
    return short.toExponential().replace('e+', 'e').replace('-', '−');
  return String(short).replace('-', '−');
}

/** What the marks hold on each axis. Histograms and bars begin at 0. */
export function extentOf(spec: Pick<PlotSpec, 'x' | 'y' | 'marks'>): Extent {
  const x = new Reach(spec.x.scale === 'log');
  const y = new Reach(!isCategoryAxis(spec.y) && spec.y.scale === 'log');
  const bases = stackedBases(spec.marks);
  for (const mark of spec.marks) addMark(mark, bases.get(mark), x, y);
  return { x: x.reach(), y: y.reach() };
}

function addMark(mark: Mark, base: Float64Array | undefined, x: Reach, y: Reach): void {
  if (mark.kind === 'rule') {
    if (mark.x !== undefined) x.add([mark.x]);
    if (mark.y !== undefined) y.add([mark.y]);
  } else if (mark.kind === 'histogram') {
    x.add(mark.edges);
    y.add([0]);
    y.add(base!.map((value, i) => value + mark.counts[i]));
  } else if (mark.kind === 'bars') {
    x.add([0]);
    x.add(mark.values);
    x.add(mark.low ?? []);
    x.add(mark.high ?? []);
  } else if (mark.kind === 'interval') {
    x.add(mark.x);
    y.add(mark.low);
    y.add(mark.high);
  } else {
    x.add(mark.x);
    y.add(mark.y);
  }
}

class Reach {
  readonly #log: boolean;
  #low = Infinity;
  #high = -Infinity;

  constructor(log: boolean) {
    this.#log = log;
  }

  add(values: ArrayLike<number>): void {
    for (let i = 0; i < values.length; i++) {
      const value = values[i];
      if (!canShow(value, this.#log)) continue;
      this.#low = Math.min(this.#low, value);
      this.#high = Math.max(this.#high, value);
    }
  }

  reach(): [number, number] | undefined {
    return this.#low <= this.#high ? [this.#low, this.#high] : undefined;
  }
}
