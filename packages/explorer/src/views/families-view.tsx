import { createMemo, For, Show } from 'solid-js';
import type { Collection, Member } from '../data/collection.ts';
import { type Family, familyOf, largestFamilies, layersOf } from '../data/families.ts';
import { count, figure, oneIn } from '../data/format.ts';
import { loadPreview, type Preview } from '../data/preview.ts';
import { tokenLabel } from '../data/segments.ts';
import { FamilyGraph } from '../parts/family-graph.tsx';
import { Loaded } from '../parts/loaded.tsx';
import { AlignedLine } from '../parts/token-line.tsx';
import { ViewFiles } from '../parts/view-files.tsx';
import { createLoad } from '../state/load.ts';
import { formatRoute, keep, memberHref, route, viewHref } from '../state/route.ts';

/** Cosine from which two features are joined, unless the reader says otherwise. */
const USUAL_COSINE = 0.5;
const FAMILIES_LISTED = 40;

/** How features split as dictionaries grow. */
export function FamiliesView(props: { collection: Collection }) {
  const own = () => route().own;
  const chosen = createMemo(() => own()['layers'] ?? '');
  const member = createMemo(() => route().member);
  const layers = createMemo(() => layersOf(props.collection, member(), chosen().split(',').filter(Boolean)));
  const least = createMemo(() => {
    const value = Number(own()['least'] ?? USUAL_COSINE);
    return value >= 0.1 && value <= 1 ? value : USUAL_COSINE;
  });
  const layer = () => layers().findIndex(({ name }) => name === member());
  return (
    <section class="families" aria-labelledby="families-title">
      <h1 id="families-title">Families</h1>
      <p class="faint">
        Features of dictionaries of growing size, joined where their directions are near: how one splits into
        finer ones.
      </p>
      <Show
        when={layers().length > 1}
        fallback={
          <p class="notice">
            No other dictionary here reads the same activations with its directions beside its index, so there
            is no family to draw.
          </p>
        }
      >
        <div class="actions">
          <label>
            <span>Joined from a cosine of</span>
            <input
              type="range"
              min="0.2"
              max="0.95"
              step="0.05"
              value={least()}
              onInput={(event) => keep({ least: event.currentTarget.value })}
            />
            <output>{figure(least())}</output>
          </label>
          <LayerChoice collection={props.collection} layers={layers()} />
        </div>
        <Show
          when={route().latent !== undefined}
          fallback={
            <Largest collection={props.collection} layers={layers()} layer={layer()} least={least()} />
          }
        >
          <FamilyOf
            collection={props.collection}
            layers={layers()}
            root={{ layer: layer(), latent: route().latent! }}
            least={least()}
          />
        </Show>
      </Show>
    </section>
  );
}

/** Which dictionaries are layers, where there are several of a size. */
function LayerChoice(props: { collection: Collection; layers: readonly Member[] }) {
  const related = () => [
    props.collection.member(route().member),
    ...props.collection.matchedWith(route().member),
  ];
  const sizes = () => [...new Set(related().map(({ d_sae }) => d_sae))].sort((a, b) => a - b);
  const ofSize = (size: number) => related().filter(({ d_sae }) => d_sae === size);
  const layerOf = (size: number) => props.layers.find(({ d_sae }) => d_sae === size)?.name ?? '';
  const choose = (size: number, name: string) => {
    const names = sizes().map((other) => (other === size ? name : layerOf(other)));
    keep({ layers: names.filter(Boolean).join(',') });
  };
  return (
    <For
      each={sizes().filter(
        (size) => ofSize(size).length > 1 && size !== props.collection.member(route().member).d_sae,
      )}
    >
      {(size) => (
        <label>
          <span>{count(size)} features</span>
          <select value={layerOf(size)} onChange={(event) => choose(size, event.currentTarget.value)}>
            <option value="">none</option>
            <For each={ofSize(size)}>
              {({ name, label }) => (
                <option value={name} selected={name === layerOf(size)}>
                  {label}
                </option>
              )}
            </For>
          </select>
        </label>
      )}
    </For>
  );
}

type Layered = { readonly family: Family; readonly previews: ReadonlyMap<string, Preview> };

function FamilyOf(props: {
  collection: Collection;
  layers: readonly Member[];
  root: { readonly layer: number; readonly latent: number };
  least: number;
}) {
  const read = createLoad(
    () => [props.layers, props.root.layer, props.root.latent, props.least] as const,
    async ([layers, layer, latent, least]): Promise<Layered> => {
      const index = await props.collection.index(layers[layer].name);
      // Says so where there is no such feature.
      await index.feature(latent);
      const family = await familyOf(props.collection, layers, { layer, latent }, least);
      const previews = await Promise.all(
        family.nodes.flat().map(async (node): Promise<[string, Preview]> => {
          const own = await props.collection.index(layers[node.layer].name);
          return [`${node.layer} ${node.latent}`, await loadPreview(own, node.latent)];
        }),
      );
      return { family, previews: new Map(previews) };
    },
  );
  const indexes = createLoad(
    () => props.layers,
    (layers) => Promise.all(layers.map(({ name }) => props.collection.index(name))),
  );
  const topToken = (layer: number, latent: number) => {
    const token = read.value()?.previews.get(`${layer} ${latent}`)?.row.top_token ?? -1;
    return token < 0 ? '' : tokenLabel(indexes.value()?.[layer].vocabulary.text(token) ?? '');
  };
  return (
    <Loaded load={read} waiting="Directions are compared…">
      {(shown) => (
        <div aria-busy={read.loading()}>
          <p class="faint">
            Feature{' '}
            <a href={memberHref(props.layers[props.root.layer].name, props.root.latent)}>
              {props.root.latent}
            </a>{' '}
            of {props.layers[props.root.layer].label}, what it comes from on its left and what it splits into
            on its right. Choose another to see its own family;{' '}
            <a href={viewHref('families')}>or list the largest</a>.{' '}
            <ViewFiles
              name={`family-${props.layers[props.root.layer].name}-${props.root.latent}`}
              json={() => ({
                layers: props.layers.map(({ name, d_sae }) => ({ name, d_sae })),
                root: props.root,
                least_cosine: props.least,
                ...shown().family,
              })}
              picture=".family-plane > svg"
              labels=".family-plane .node, .family-plane .layer-name"
            />
          </p>
          <FamilyGraph layers={props.layers} family={shown().family} root={props.root} topToken={topToken} />
          <FamilyExamples layers={props.layers} shown={shown()} />
        </div>
      )}
    </Loaded>
  );
}

/** What every member of the family fires on most strongly. */
function FamilyExamples(props: { layers: readonly Member[]; shown: Layered }) {
  return (
    <For each={props.layers}>
      {(member, layer) => (
        <Show when={props.shown.family.nodes[layer()].length > 0}>
          <section class="family-examples">
            <h2>
              {member.label} <span class="faint">strongest example of each</span>
            </h2>
            <ol>
              <For each={props.shown.family.nodes[layer()]}>
                {(node) => {
                  const preview = props.shown.previews.get(`${node.layer} ${node.latent}`)!;
                  return (
                    <PreviewLine
                      href={memberHref(member.name, node.latent)}
                      preview={preview}
                      note={oneIn(preview.row.density)}
                    />
                  );
                }}
              </For>
            </ol>
          </section>
        </Show>
      )}
    </For>
  );
}

function Largest(props: { collection: Collection; layers: readonly Member[]; layer: number; least: number }) {
  /** The largest dictionary has no finer one: then the families of the one before it are listed. */
  const from = () => Math.min(props.layer, props.layers.length - 2);
  const read = createLoad(
    () => [props.layers, from(), props.least] as const,
    async ([layers, layer, least]) => {
      const found = await largestFamilies(props.collection, layers, layer, least);
      const index = await props.collection.index(layers[layer].name);
      const listed = found.slice(0, FAMILIES_LISTED);
      const previews = await Promise.all(listed.map(({ latent }) => loadPreview(index, latent)));
      return { n: found.length, listed: listed.map((family, i) => ({ ...family, preview: previews[i] })) };
    },
  );
  const href = (latent: number) => formatRoute({ ...route(), member: props.layers[from()].name, latent });
  return (
    <Loaded load={read} waiting="Directions are compared…">
      {(shown) => (
        <section class="family-examples">
          <h2>
            Largest families{' '}
            <span class="faint">
              features of {props.layers[from()].label}, and into how many of {props.layers[from() + 1].label}{' '}
              they split; {count(shown().n)} split at all
            </span>
          </h2>
          <ol>
            <For each={shown().listed} fallback={<li class="faint">None at this cosine.</li>}>
              {({ latent, children, preview }) => (
                <PreviewLine href={href(latent)} preview={preview} note={`into ${count(children)}`} />
              )}
            </For>
          </ol>
        </section>
      )}
    </Loaded>
  );
}

/** A feature and its strongest example. */
function PreviewLine(props: { href: string; preview: Preview; note: string }) {
  return (
    <li class="example-side">
      <a class="value" href={props.href}>
        {props.preview.row.latent_index}
      </a>
      <span class="faint">{props.note}</span>
      <AlignedLine segments={props.preview.segments} highlight={props.preview.highlight} />
    </li>
  );
}
