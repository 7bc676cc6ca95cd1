import { createMemo, createSignal, For, Show } from 'solid-js';
import { APART } from '../data/colours.ts';
import type { Member } from '../data/collection.ts';
import { count, figure, percent, tickText } from '../data/format.ts';
import { type Grouping, groupsOf, type Kept, type ParetoPoint, paretoPoints } from '../data/member-order.ts';
import { go, memberHref } from '../state/route.ts';

const WIDTH = 560;
const HEIGHT = 300;
const EDGE = { left: 52, right: 14, top: 12, bottom: 34 };
/** Shapes as well as colours, so that neither has to carry a group alone. */
const SHAPES = [
  'M-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0z',
  'M-4-4h8v8h-8z',
  'M0-5.200 5 4h-10z',
  'M0-5.600 5.600 0 0 5.600-5.600 0z',
  'M-4.500-1.500h3v-3h3v3h3v3h-3v3h-3v-3h-3z',
];

/** What dictionaries keep against how many features they use: those up and to the left are better. */
export function ParetoPlot(props: {
  members: readonly Member[];
  kept: Kept;
  grouping: Grouping;
  picked: readonly string[];
}) {
  const [pointed, setPointed] = createSignal<readonly ParetoPoint[]>();
  const points = createMemo(() => paretoPoints(props.members, props.kept));
  const groups = createMemo(() => groupsOf(props.members, props.grouping));
  const scale = createMemo(() => axes(points()));
  const dots = createMemo(() => placesOf(points(), scale()));
  const groupOf = (point: ParetoPoint) => groups().indexOf(String(point.member[props.grouping]));
  const colour = (group: number) => APART[group % APART.length];
  const front = () =>
    points()
      .filter(({ onFront }) => onFront)
      .map((point) => `${scale().x(point.l0)},${scale().y(point.kept)}`)
      .join(' ');
  const name = () => (props.kept === 'loss_recovered' ? 'loss recovered' : 'variance explained');

  return (
    <Show
      when={points().length > 0}
      fallback={
        <p class="faint">
          No dictionary here says both its L0 and its {name()}. An index has them when `monoseme evaluate`
          measured its dictionary before `monoseme index`.
        </p>
      }
    >
      <figure class="pareto">
        <svg
          viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
          role="img"
          aria-label={`L0 against ${name()} of ${points().length} dictionaries; the table below has the same figures.`}
        >
          <For each={scale().xTicks}>
            {(tick) => (
              <g class="tick">
                <line x1={scale().x(tick)} x2={scale().x(tick)} y1={EDGE.top} y2={HEIGHT - EDGE.bottom} />
                <text x={scale().x(tick)} y={HEIGHT - EDGE.bottom + 15} text-anchor="middle">
                  {tickText(tick)}
                </text>
              </g>
            )}
          </For>
          <For each={scale().yTicks}>
            {(tick) => (
              <g class="tick">
                <line x1={EDGE.left} x2={WIDTH - EDGE.right} y1={scale().y(tick)} y2={scale().y(tick)} />
                <text x={EDGE.left - 7} y={scale().y(tick) + 4} text-anchor="end">
                  {`${tickText(100 * tick)} %`}
                </text>
              </g>
            )}
          </For>
          <text class="axis-name" x={WIDTH - EDGE.right} y={HEIGHT - 3} text-anchor="end">
            L0, features a token
          </text>
          <polyline class="front" points={front()} />
          <For each={dots()}>
            {({ x, y, points: [point, ...under] }) => (
              <g
                transform={`translate(${x} ${y})`}
                onPointerEnter={() => setPointed([point, ...under])}
                onPointerLeave={() => under.length === 0 && setPointed(undefined)}
                onClick={() => under.length === 0 && go(memberHref(point.member.name))}
              >
                <path
                  class="dot"
                  classList={{
                    picked: [point, ...under].some(({ member }) => props.picked.includes(member.name)),
                  }}
                  d={SHAPES[groupOf(point) % SHAPES.length]}
                  fill={colour(groupOf(point))}
                />
                <Show when={under.length > 0}>
                  <text x="7" y="-5">
                    {under.length + 1}
                  </text>
                </Show>
              </g>
            )}
          </For>
        </svg>
        <figcaption>
          <Show
            when={pointed()}
            fallback={
              <For each={groups()}>
                {(group, i) => (
                  <span class="key">
                    <svg viewBox="-7 -7 14 14" aria-hidden="true">
                      <path d={SHAPES[i() % SHAPES.length]} fill={colour(i())} />
                    </svg>
                    {props.grouping === 'd_sae' ? `${count(Number(group))} features` : group}
                  </span>
                )}
              </For>
            }
          >
            {(points) => (
              <For each={points()}>
                {(point) => (
                  <span>
                    <a class="member" href={memberHref(point.member.name)}>
                      {point.member.label}
                    </a>{' '}
                    · L0 {figure(point.l0)} · {percent(point.kept)} of the{' '}
                    {props.kept === 'loss_recovered' ? 'loss' : 'variance'}
                    {point.onFront ? ' · on the front' : ''}
                  </span>
                )}
              </For>
            )}
          </Show>
        </figcaption>
      </figure>
    </Show>
  );
}

/** Dots are drawn over each other from here on, in units of the picture: then they are one dot. */
const APART_BY = 3;

/** Where dots are drawn, and the dictionaries of each: several where figures are the same, or all but. */
function placesOf(points: readonly ParetoPoint[], { x: xOf, y: yOf }: ReturnType<typeof axes>) {
  const places: { x: number; y: number; points: ParetoPoint[] }[] = [];
  for (const point of points) {
    const [x, y] = [xOf(point.l0), yOf(point.kept)];
    const same = places.find((place) => Math.hypot(place.x - x, place.y - y) < APART_BY);
    if (same) same.points.push(point);
    else places.push({ x, y, points: [point] });
  }
  return places;
}

/** A logarithmic axis of L0 and a linear one of what is kept, a little wider than the points, with round ticks. */
function axes(points: readonly ParetoPoint[]) {
  const logs = points.map(({ l0 }) => Math.log10(l0));
  const kept = points.map((point) => point.kept);
  const [left, right] = widened(Math.min(...logs), Math.max(...logs), 0.05);
  const [low, high] = widened(Math.max(-1, Math.min(...kept)), Math.max(...kept), 0.005);
  const x = (l0: number) =>
    EDGE.left + ((Math.log10(l0) - left) / (right - left)) * (WIDTH - EDGE.left - EDGE.right);
  const y = (share: number) =>
    HEIGHT - EDGE.bottom - ((Math.max(low, share) - low) / (high - low)) * (HEIGHT - EDGE.top - EDGE.bottom);
  return { x, y, xTicks: logTicks(left, right), yTicks: linearTicks(low, high) };
}

function widened(low: number, high: number, least: number): [number, number] {
  const by = Math.max(least, (high - low) * 0.08);
  return [low - by, high + by];
}

function logTicks(left: number, right: number): number[] {
  const steps = right - left > 2.5 ? [1] : right - left > 0.9 ? [1, 2, 5] : [1, 1.5, 2, 3, 4, 5, 7];
  const ticks: number[] = [];
  for (let power = Math.floor(left); power <= right; power++)
    for (const step of steps) ticks.push(step * 10 ** power);
  return ticks.filter((tick) => Math.log10(tick) >= left && Math.log10(tick) <= right);
}

function linearTicks(low: number, high: number): number[] {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= rough)!;
  const ticks: number[] = [];
  for (let i = Math.ceil(low / step); i * step <= high; i++) ticks.push(i * step);
  return ticks;
}
