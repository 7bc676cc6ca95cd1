import { createMemo, For, Show } from 'solid-js';
import type { Member } from '../data/collection.ts';
import type { Family, FamilyEdge } from '../data/families.ts';
import { count, figure } from '../data/format.ts';
import { formatRoute, route } from '../state/route.ts';

const NODE = { width: 168, height: 30, gap: 8 };
const COLUMN = 268;
/** Pixels of the names above the columns (`.layer-name`). */
const NAME = 256;
const HEAD = 44;

/** A family as a layered graph: a column for each dictionary, the smallest on the left. */
export function FamilyGraph(props: {
  layers: readonly Member[];
  family: Family;
  root: { readonly layer: number; readonly latent: number };
  topToken: (layer: number, latent: number) => string;
}) {
  const tallest = () => Math.max(1, ...props.family.nodes.map((layer) => layer.length));
  const height = () => HEAD + tallest() * (NODE.height + NODE.gap);
  const width = () => (props.layers.length - 1) * COLUMN + NAME;
  /** Tops of the boxes by layer and latent: each column stands in the middle. */
  const tops = createMemo(() =>
    props.family.nodes.map((layer) => {
      const first = HEAD + ((tallest() - layer.length) * (NODE.height + NODE.gap)) / 2;
      return new Map(layer.map(({ latent }, i) => [latent, first + i * (NODE.height + NODE.gap)]));
    }),
  );
  const path = ({ layer, from, to }: FamilyEdge) => {
    const middle = NODE.height / 2;
    const [x0, y0] = [layer * COLUMN + NODE.width, tops()[layer].get(from)! + middle];
    const [x1, y1] = [(layer + 1) * COLUMN, tops()[layer + 1].get(to)! + middle];
    const bend = (x1 - x0) / 2;
    return `M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}`;
  };
  const edges = () =>
    props.family.edges.filter(({ layer, from, to }) => tops()[layer].has(from) && tops()[layer + 1].has(to));
  const href = (layer: number, latent: number) =>
    formatRoute({ ...route(), member: props.layers[layer].name, latent });
  const isRoot = (layer: number, latent: number) =>
    layer === props.root.layer && latent === props.root.latent;
  return (
    <div class="scrolls family" tabindex="0" role="region" aria-label="Family as a graph">
      <div class="family-plane" style={{ width: `${width()}px`, height: `${height()}px` }}>
        <svg viewBox={`0 0 ${width()} ${height()}`} aria-hidden="true">
          <For each={edges()}>
            {(edge) => (
              <path d={path(edge)} style={{ '--e': String(edge.cosine) }}>
                <title>{figure(edge.cosine)}</title>
              </path>
            )}
          </For>
        </svg>
        <For each={props.layers}>
          {(member, layer) => (
            <section aria-label={`${member.label}, ${count(member.d_sae)} features`}>
              <p class="layer-name" style={{ left: `${layer() * COLUMN}px` }}>
                <strong title={member.name}>{member.label}</strong>
                <span class="faint">
                  {count(member.d_sae)} features
                  <Show when={props.family.leftOut[layer()] > 0}>
                    {' '}
                    · {count(props.family.leftOut[layer()])} more
                  </Show>
                </span>
              </p>
              <For each={props.family.nodes[layer()]}>
                {(node) => (
                  <a
                    class="node"
                    classList={{ root: isRoot(node.layer, node.latent) }}
                    aria-current={isRoot(node.layer, node.latent) ? 'true' : undefined}
                    href={href(node.layer, node.latent)}
                    title={`Feature ${node.latent} of ${member.label}, cosine ${figure(node.cosine)}`}
                    style={{
                      left: `${node.layer * COLUMN}px`,
                      top: `${tops()[node.layer].get(node.latent)}px`,
                      width: `${NODE.width}px`,
                      height: `${NODE.height}px`,
                    }}
                  >
                    {node.latent} <code>{props.topToken(node.layer, node.latent)}</code>
                  </a>
                )}
              </For>
            </section>
          )}
        </For>
      </div>
    </div>
  );
}
