import { createEffect, createSignal, For, on, onCleanup, onMount, Show } from 'solid-js';
import { clusterName } from '../data/cluster-names.ts';
import type { ClusterRow, FeatureIndex } from '../data/feature-index.ts';
import { count, percent } from '../data/format.ts';
import {
  bounds,
  type Colouring,
  COLOURINGS,
  inside,
  mapColours,
  type MapPoints,
  mapPoints,
  PointFinder,
} from '../data/map-points.ts';
import { tokenLabel } from '../data/segments.ts';
import { Loaded } from '../parts/loaded.tsx';
import { PlaneNames } from '../parts/plane-names.tsx';
import { type PlaneView, PointCloud } from '../parts/point-cloud.ts';
import { RadioGroup } from '../parts/radio-group.tsx';
import { createLoad } from '../state/load.ts';
import { featureHref, freshListHref, go, keep, route } from '../state/route.ts';

/** How near the pointer must come, in pixels. */
const REACH = 14;
/** Features that an address can name. */
const MOST_LISTED = 2000;
const CLUSTERS_LISTED = 40;

/** All features in the plane, near ones of near directions. */
export function MapView(props: { index: FeatureIndex }) {
  const points = createLoad(() => props.index, mapPoints);
  const clusters = createLoad(
    () => props.index,
    (index) => index.clusters(),
  );
  return (
    <section class="map-view" aria-labelledby="map-title">
      <h1 id="map-title">Map</h1>
      <Loaded load={points} waiting="Reading the map…">
        {(shown) => (
          <>
            <p class="faint">
              {count(shown().latents.length)} features; near ones have near directions. Drag to move, zoom
              with the wheel or + and −, choose a point to open it.
            </p>
            <div class="map-columns">
              <Plane index={props.index} points={shown()} clusters={clusters.value() ?? []} />
              <div class="clusters">
                <h2>Clusters</h2>
                <Loaded load={clusters} waiting="Reading the clusters…">
                  {(rows) => <Clusters index={props.index} clusters={rows()} />}
                </Loaded>
              </div>
            </div>
          </>
        )}
      </Loaded>
    </section>
  );
}

function Plane(props: { index: FeatureIndex; points: MapPoints; clusters: readonly ClusterRow[] }) {
  const [hasWebGl, setHasWebGl] = createSignal(true);
  const [pointed, setPointed] = createSignal<{ i: number; left: number; top: number }>();
  const [lasso, setLasso] = createSignal(false);
  const [line, setLine] = createSignal<readonly (readonly [number, number])[]>([]);
  const finder = new PointFinder(props.points.places);
  const whole = bounds(props.points.places);
  const colouring = (): Colouring => COLOURINGS.find((known) => known === route().own['colour']) ?? 'density';
  let canvas!: HTMLCanvasElement;
  let cloud: PointCloud | undefined;
  const [size, setSize] = createSignal<readonly [number, number]>([0, 0]);
  const [view, setView] = createSignal<PlaneView>({ x: whole.x, y: whole.y, scale: 1 });

  const draw = () => cloud?.draw(view(), Math.min(9, Math.max(3, view().scale / 14)));
  onCleanup(() => cloud?.stop());
  const fit = () => {
    const { clientWidth, clientHeight } = canvas;
    const ratio = devicePixelRatio || 1;
    [canvas.width, canvas.height] = [clientWidth * ratio, clientHeight * ratio];
    const scale = 0.94 * Math.min(clientWidth / whole.width, clientHeight / whole.height);
    setSize([clientWidth, clientHeight]);
    setView({ x: whole.x, y: whole.y, scale });
  };
  const toPlane = (event: { clientX: number; clientY: number }): [number, number] => {
    const box = canvas.getBoundingClientRect();
    const { x, y, scale } = view();
    return [
      x + (event.clientX - box.left - box.width / 2) / scale,
      y - (event.clientY - box.top - box.height / 2) / scale,
    ];
  };
  const zoom = (factor: number, [atX, atY]: readonly [number, number] = [view().x, view().y]) => {
    const { x, y, scale } = view();
    const next = Math.min(1e5, Math.max(0.5, scale * factor));
    const kept = scale / next;
    setView({ x: atX + (x - atX) * kept, y: atY + (y - atY) * kept, scale: next });
  };
  onMount(() => {
    cloud = PointCloud.create(canvas, props.points.places);
    setHasWebGl(cloud !== undefined);
    cloud?.colour(mapColours(props.points, colouring()));
    fit();
    window.addEventListener('resize', fit);
    onCleanup(() => window.removeEventListener('resize', fit));
  });
  createEffect(on(view, draw));
  createEffect(
    on(
      colouring,
      (by) => {
        cloud?.colour(mapColours(props.points, by));
        draw();
      },
      { defer: true },
    ),
  );

  let dragged: { x: number; y: number; moved: boolean } | undefined;
  const onDown = (event: PointerEvent) => {
    canvas.setPointerCapture(event.pointerId);
    dragged = { x: event.clientX, y: event.clientY, moved: false };
    if (lasso()) setLine([toPlane(event)]);
  };
  const onMove = (event: PointerEvent) => {
    if (!dragged) {
      const [x, y] = toPlane(event);
      const i = finder.nearest(x, y, REACH / view().scale);
      const box = canvas.getBoundingClientRect();
      setPointed(
        i === undefined ? undefined : { i, left: event.clientX - box.left, top: event.clientY - box.top },
      );
      return;
    }
    const [dx, dy] = [event.clientX - dragged.x, event.clientY - dragged.y];
    const moved = dragged.moved || Math.hypot(dx, dy) > 3;
    if (lasso()) setLine([...line(), toPlane(event)]);
    else if (moved) {
      const { x, y, scale } = view();
      setView({ x: x - dx / scale, y: y + dy / scale, scale });
    }
    dragged = moved && !lasso() ? { x: event.clientX, y: event.clientY, moved } : { ...dragged, moved };
  };
  const onUp = (event: PointerEvent) => {
    const wasMoved = dragged?.moved ?? false;
    dragged = undefined;
    if (lasso()) return listInside();
    if (wasMoved) return;
    const [x, y] = toPlane(event);
    const i = finder.nearest(x, y, REACH / view().scale);
    if (i !== undefined) go(featureHref(props.points.latents[i]));
  };
  const listInside = () => {
    const { places, latents } = props.points;
    const drawn = line();
    setLine([]);
    const only = [...latents].filter((_, i) => inside(drawn, places[2 * i], places[2 * i + 1]));
    if (only.length > 0) go(freshListHref({ only: only.slice(0, MOST_LISTED) }));
  };
  const onKey = (event: KeyboardEvent) => {
    const step = 40 / view().scale;
    const { x, y, scale } = view();
    const moves: Record<string, () => void> = {
      ArrowLeft: () => setView({ x: x - step, y, scale }),
      ArrowRight: () => setView({ x: x + step, y, scale }),
      ArrowUp: () => setView({ x, y: y + step, scale }),
      ArrowDown: () => setView({ x, y: y - step, scale }),
      '+': () => zoom(1.4),
      '-': () => zoom(1 / 1.4),
      '0': fit,
    };
    if (!moves[event.key]) return;
    event.preventDefault();
    moves[event.key]();
  };
  const outline = () => {
    const { x, y, scale } = view();
    const at = ([px, py]: readonly [number, number]) =>
      `${(px - x) * scale + canvas.clientWidth / 2},${canvas.clientHeight / 2 - (py - y) * scale}`;
    return line().map(at).join(' ');
  };
  const label = (i: number) => {
    const latent = props.points.latents[i];
    const token = props.points.topToken[latent];
    return `${latent} ${token < 0 ? '' : tokenLabel(props.index.vocabulary.text(token))} · ${percent(props.points.density[latent])}`;
  };

  return (
    <div>
      <div class="actions">
        <RadioGroup
          label="Colour by"
          choices={COLOURINGS}
          chosen={colouring()}
          onChoose={(by) => keep({ colour: by === 'density' ? '' : by })}
        />
        <span class="faint">
          {colouring() === 'cluster' ? 'eight colours, used again' : 'from little, blue, to much, orange'}
        </span>
        <button type="button" class="text" aria-pressed={lasso()} onClick={() => setLasso(!lasso())}>
          {lasso() ? 'draw around features to list them' : 'lasso'}
        </button>
        <button type="button" class="text" aria-label="Zoom in" title="Zoom in (+)" onClick={() => zoom(1.6)}>
          +
        </button>
        <button
          type="button"
          class="text"
          aria-label="Zoom out"
          title="Zoom out (-)"
          onClick={() => zoom(1 / 1.6)}
        >
          −
        </button>
        <button type="button" class="text" onClick={fit}>
          all
        </button>
      </div>
      <Show when={!hasWebGl()}>
        <p role="alert" class="notice">
          This browser shows no WebGL, which the map is drawn with. The clusters beside it list the same
          features.
        </p>
      </Show>
      <div class="plane" classList={{ lasso: lasso() }} hidden={!hasWebGl()}>
        <canvas
          ref={canvas}
          tabindex="0"
          role="img"
          aria-label={`Map of ${count(props.points.latents.length)} features. Arrow keys move it, plus and minus zoom; the clusters beside it list the same features.`}
          onPointerDown={onDown}
          onPointerMove={onMove}
          onPointerUp={onUp}
          onPointerLeave={() => setPointed(undefined)}
          onKeyDown={onKey}
          onWheel={(event) => {
            event.preventDefault();
            zoom(Math.exp(-event.deltaY / 400), toPlane(event));
          }}
        />
        <PlaneNames index={props.index} clusters={props.clusters} view={view()} size={size()} />
        <Show when={line().length > 1}>
          <svg class="outline" aria-hidden="true">
            <polygon points={outline()} />
          </svg>
        </Show>
        <Show when={pointed()}>
          {(found) => (
            <div
              class="plane-label"
              style={{ transform: `translate(${found().left + 12}px, ${found().top + 12}px)` }}
            >
              <code>{label(found().i)}</code>
            </div>
          )}
        </Show>
      </div>
    </div>
  );
}

/** The largest groups of near features, named by the tokens that tell them from the others. */
function Clusters(props: { index: FeatureIndex; clusters: readonly ClusterRow[] }) {
  const listed = () => props.clusters.slice(0, CLUSTERS_LISTED);
  return (
    <Show
      when={props.clusters.length > 0}
      fallback={
        <p class="faint">
          This index was made before clusters had names. Build it again with `monoseme index` to list them
          here.
        </p>
      }
    >
      <table class="token-table">
        <tbody>
          <For each={listed()}>
            {(row) => (
              <tr>
                <td>
                  <a href={freshListHref({ cluster: row.cluster })}>
                    <code>{clusterName(props.index, row)}</code>
                  </a>
                </td>
                <td class="value faint">{count(row.n_features)}</td>
              </tr>
            )}
          </For>
        </tbody>
      </table>
      <Show when={props.clusters.length > CLUSTERS_LISTED}>
        <p class="faint">
          The {CLUSTERS_LISTED} largest of {count(props.clusters.length)}. The search box finds the others by
          their tokens.
        </p>
      </Show>
    </Show>
  );
}
