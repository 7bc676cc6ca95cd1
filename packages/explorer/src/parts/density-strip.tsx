import { For, Show } from 'solid-js';
import type { Member } from '../data/collection.ts';
import { oneIn } from '../data/format.ts';

const HEIGHT = 30;
const BIN = 5;

/** Densities of a dictionary's features as a small histogram, on the same axis as all others of the collection. */
export function DensityStrip(props: {
  member: Member;
  binsPerPower: number;
  /** First and last bin of the axis. */
  range: readonly [number, number];
}) {
  const nBins = () => props.range[1] - props.range[0] + 1;
  const largest = () => Math.max(1, ...(props.member.densities?.counts ?? []));
  const told = () => {
    const { low, counts } = props.member.densities!;
    const most = low + counts.indexOf(largest()) + 0.5;
    return `Densities, most about ${oneIn(10 ** (most / props.binsPerPower))}`;
  };
  return (
    <Show when={props.member.densities?.counts.length} fallback={<span class="faint">–</span>}>
      <svg
        class="strip"
        viewBox={`0 0 ${nBins() * BIN} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={told()}
      >
        <title>{told()}</title>
        <For each={props.member.densities!.counts}>
          {(n, i) => {
            const height = (n / largest()) * (HEIGHT - 1);
            return (
              <rect
                x={(props.member.densities!.low + i() - props.range[0]) * BIN}
                width={BIN - 0.8}
                y={HEIGHT - height}
                height={height}
              />
            );
          }}
        </For>
      </svg>
    </Show>
  );
}

/** The bins that hold the densities of all members. */
export function densityRange(members: readonly Member[]): readonly [number, number] {
  const shown = members.flatMap(({ densities }) => (densities?.counts.length ? [densities] : []));
  if (shown.length === 0) return [0, 0];
  return [
    Math.min(...shown.map(({ low }) => low)),
    Math.max(...shown.map(({ low, counts }) => low + counts.length - 1)),
  ];
}
