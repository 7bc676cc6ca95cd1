import { createMemo, createSignal, For, Index, Show } from 'solid-js';
import { count } from '../data/format.ts';
import { countScale } from '../state/settings.ts';

export interface Mark {
  readonly value: number;
  readonly label: string;
}

interface BarsProps {
  /** What a screen reader says of the picture. */
  readonly label: string;
  readonly counts: readonly number[];
  /** Value at the left and right end of the axis. */
  readonly from: number;
  readonly to: number;
  readonly format: (value: number) => string;
  /** Colour of a bar by the value in its middle: a class, and a strength from 0 to 1. */
  readonly tone: (middle: number) => { kind: string; strength: number };
  readonly unit: string;
  /** Values to point at. */
  readonly marks?: readonly Mark[];
  /** Other values written on the axis. */
  readonly ticks?: readonly number[];
  readonly onPick?: (bin: number) => void;
  readonly picked?: (bin: number) => boolean;
}

const WIDTH = 336;
const HEIGHT = 84;
/** Strengths of a colour that are told apart. */
const STRENGTHS = 12;

/** Bars of one colour, drawn as one. */
interface Tone {
  readonly kind: string;
  readonly strength: number;
  readonly path: string;
}

/** A histogram. Pointing at it names the bin; marks from elsewhere are drawn as lines. */
export function Bars(props: BarsProps) {
  const [pointed, setPointed] = createSignal<number>();
  const width = () => WIDTH / props.counts.length;
  const largest = createMemo(() => Math.max(1, ...props.counts));
  const height = (n: number) =>
    n === 0
      ? 0
      : (countScale() === 'log' ? Math.log1p(n) / Math.log1p(largest()) : n / largest()) * (HEIGHT - 2) + 1;
  const edge = (bin: number) => props.from + ((props.to - props.from) * bin) / props.counts.length;
  const bar = (bin: number) => ({
    x: bin * width() + 0.3,
    y: HEIGHT - height(props.counts[bin]),
    width: Math.max(0.5, width() - 0.6),
    height: height(props.counts[bin]),
  });
  /** By colour: a reader waits for the histograms of every feature, and one element a bar is a hundred of them. */
  const tones = createMemo(() => {
    const byColour = new Map<string, Tone>();
    props.counts.forEach((n, bin) => {
      if (n === 0) return;
      const { kind, strength: exact } = props.tone((edge(bin) + edge(bin + 1)) / 2);
      const strength = Math.round(exact * STRENGTHS) / STRENGTHS;
      const { x, y, width } = bar(bin);
      const path = `M${x.toFixed(1)} ${HEIGHT}V${y.toFixed(1)}h${width.toFixed(1)}V${HEIGHT}z`;
      const colour = `${kind} ${strength}`;
      byColour.set(colour, { kind, strength, path: (byColour.get(colour)?.path ?? '') + path });
    });
    return [...byColour.values()];
  });
  const picked = createMemo(() => [...props.counts.keys()].filter((bin) => props.picked?.(bin)));
  const x = (value: number) =>
    Math.min(WIDTH - 0.5, Math.max(0.5, ((value - props.from) / (props.to - props.from || 1)) * WIDTH));
  const pointTo = (event: PointerEvent & { currentTarget: SVGSVGElement }) => {
    const box = event.currentTarget.getBoundingClientRect();
    const bin = Math.floor(((event.clientX - box.left) / box.width) * props.counts.length);
    setPointed(Math.min(props.counts.length - 1, Math.max(0, bin)));
  };
  const readout = () => {
    const bin = pointed();
    if (bin === undefined) return (props.marks ?? []).map(({ label }) => label).join(' · ');
    return `${props.format(edge(bin))} to ${props.format(edge(bin + 1))}: ${count(props.counts[bin])} ${props.unit}`;
  };

  return (
    <figure class="bars">
      <svg
        viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={props.label}
        classList={{ pickable: props.onPick !== undefined }}
        onPointerMove={pointTo}
        onPointerLeave={() => setPointed(undefined)}
        onClick={() => pointed() !== undefined && props.onPick?.(pointed()!)}
      >
        <Index each={tones()}>
          {(tone) => <path class={tone().kind} style={{ '--a': String(tone().strength) }} d={tone().path} />}
        </Index>
        <For each={picked()}>{(bin) => <rect class="picked" {...bar(bin)} />}</For>
        <Show when={pointed() !== undefined}>
          <rect class="pointed" {...bar(pointed()!)} />
        </Show>
        <For each={props.marks}>
          {({ value }) => <line class="marker" x1={x(value)} x2={x(value)} y1="0" y2={HEIGHT} />}
        </For>
      </svg>
      <div class="axis" aria-hidden="true">
        <span>{props.format(props.from)}</span>
        <span class="readout">{readout()}</span>
        <span>{props.format(props.to)}</span>
      </div>
    </figure>
  );
}
