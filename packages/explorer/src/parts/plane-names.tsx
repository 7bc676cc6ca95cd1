import { createMemo, For } from 'solid-js';
import { clusterName } from '../data/cluster-names.ts';
import type { ClusterRow, FeatureIndex } from '../data/feature-index.ts';
import type { PlaneView } from './point-cloud.ts';

/** Names on the plane at once, and how many clusters are tried for them: the largest come first. */
const MOST_NAMES = 24;
const MOST_TRIED = 400;
/** Pixels that a name takes: its height, and the width of a character, about. */
const HEIGHT = 22;
const CHARACTER = 7.3;
/** Pixels beside it. */
const ASIDE = 4;

/** Names of the clusters in sight, where they do not cover each other. */
export function PlaneNames(props: {
  index: FeatureIndex;
  clusters: readonly ClusterRow[];
  view: PlaneView;
  /** Of the plane, in pixels. */
  size: readonly [number, number];
}) {
  const names = createMemo(() =>
    props.clusters.slice(0, MOST_TRIED).map((row) => ({ row, name: clusterName(props.index, row, 3) })),
  );
  const placed = createMemo(() => {
    const { x, y, scale } = props.view;
    const [width, height] = props.size;
    const boxes: { name: string; left: number; top: number; right: number }[] = [];
    for (const { row, name } of names()) {
      if (boxes.length === MOST_NAMES) break;
      const half = (name.length * CHARACTER) / 2 + ASIDE;
      const left = (row.map_x - x) * scale + width / 2 - half;
      const top = height / 2 - (row.map_y - y) * scale - HEIGHT / 2;
      const box = { name, left, top, right: left + 2 * half };
      if (left < 0 || box.right > width || top < 0 || top + HEIGHT > height) continue;
      const covers = (other: typeof box) =>
        box.left < other.right && other.left < box.right && Math.abs(box.top - other.top) < HEIGHT;
      if (!boxes.some(covers)) boxes.push(box);
    }
    return boxes;
  });
  return (
    <div class="plane-names" aria-hidden="true">
      <For each={placed()}>
        {({ name, left, top, right }) => (
          <code style={{ transform: `translate(${left}px, ${top}px)`, width: `${right - left}px` }}>
            {name}
          </code>
        )}
      </For>
    </div>
  );
}
