import { createMemo, createSignal, For, Show } from 'solid-js';
import { APART } from '../data/colours.ts';
import type { Member } from '../data/collection.ts';
import { figure, percent } from '../data/format.ts';
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
  const [pointed, setPointed] = createSignal<ParetoPoint>();
  const points = createMemo(() => paretoPoints(props.members, props.kept));
  const groups = createMemo(() => groupsOf(props.members, props.grouping));
  const scale = createMemo(() => axes(points()));
  const placeOf = (point: ParetoPoint) => groups().indexOf(String(point.member[props.grouping]));
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
                  {figure(tick)}
                </text>
              </g>
            )}
          </For>
          <For each={scale().yTicks}>
            {(tick) => (
              <g class="tick">
                <line x1={EDGE.left} x2={WIDTH - EDGE.right} y1={scale().y(tick)} y2={scale().y(tick)} />
                <text x={EDGE.left - 7} y={scale().y(tick) + 4} text-anchor="end">
                  {percent(tick)}
                </text>
              </g>
            )}
          </For>
          <text class="axis-name" x={WIDTH - EDGE.right} y={HEIGHT - 3} text-anchor="end">
            L0, features a token
          </text>
          <polyline class="front" points={front()} />
          <For each={points()}>
            {(point) => (
              <path
                class="dot"
                classList={{ picked: props.picked.includes(point.member.name) }}
                d={SHAPES[placeOf(point) % SHAPES.length]}
                transform={`translate(${scale().x(point.l0)} ${scale().y(point.kept)})`}
                fill={colour(placeOf(point))}
                onPointerEnter={() => setPointed(point)}
                onPointerLeave={() => setPointed(undefined)}
                onClick={() => go(memberHref(point.member.name))}
              />
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
                    {group}
                  </span>
                )}
              </For>
            }
          >
            {(point) => (
              <span>
                <strong>{point().member.name}</strong> · L0 {figure(point().l0)} · {percent(point().kept)} of
                the {props.kept === 'loss_recovered' ? 'loss' : 'variance'}
                {point().onFront ? ' · on the front' : ''}
              </span>
            )}
          </Show>
        </figcaption>
      </figure>
    </Show>
  );
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
