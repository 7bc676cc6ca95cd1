import { createMemo, For, Match, Show, Switch } from 'solid-js';
import type { Collection } from '../data/collection.ts';
import {
  compare,
  type Comparison,
  type MatchedPair,
  medianCosine,
  orderPairs,
  PAIR_ORDERS,
} from '../data/comparison.ts';
import { count, figure, percent } from '../data/format.ts';
import { Bars } from '../parts/bars.tsx';
import { ErrorNotice } from '../parts/error-notice.tsx';
import { PairDetail } from '../parts/pair-detail.tsx';
import { RadioGroup } from '../parts/radio-group.tsx';
import { createTopTokens, FeatureCells } from '../parts/feature-cells.tsx';
import { ViewFiles } from '../parts/view-files.tsx';
import { createLoad } from '../state/load.ts';
import { collectionHref, go, keep, ownHref, route } from '../state/route.ts';

/** Bins of the histogram of cosines from 0 to 1. */
const BINS = 40;
/** Pairs that are listed; the histogram chooses others. */
const LISTED = 60;

/** Two dictionaries of the same activations: which features of the one are found again in the other. */
export function CompareView(props: { collection: Collection }) {
  const own = () => route().own;
  const names = (): [string, string] => [own()['a'] ?? '', own()['b'] ?? ''];
  const chosen = createMemo(() => names().every((name) => name !== '') && names()[0] !== names()[1]);
  const comparison = createLoad(
    createMemo(() => names().join('\n')),
    async () => (chosen() ? compare(props.collection, ...names()) : undefined),
  );
  return (
    <section class="compare" aria-labelledby="compare-title">
      <h1 id="compare-title">Compare</h1>
      <div class="actions">
        <MemberChoice collection={props.collection} label="First" name="a" />
        <MemberChoice collection={props.collection} label="Second" name="b" />
        <a class="quiet" href={collectionHref('compare', { a: names()[1], b: names()[0] })}>
          swap
        </a>
      </div>
      <Switch>
        <Match when={!chosen()}>
          <p class="faint">Choose two dictionaries of this collection.</p>
        </Match>
        <Match when={comparison.error()}>{(error) => <ErrorNotice error={error()} />}</Match>
        <Match when={comparison.loading()}>
          <p class="waiting" role="status">
            The directions of both are compared…
          </p>
        </Match>
        <Match when={comparison.value()} keyed>
          {(shown) => <Compared comparison={shown} names={names()} />}
        </Match>
      </Switch>
    </section>
  );
}

function MemberChoice(props: { collection: Collection; label: string; name: 'a' | 'b' }) {
  const value = () => route().own[props.name] ?? '';
  const choose = (name: string) =>
    go(collectionHref('compare', { ...route().own, [props.name]: name, match: '' }));
  return (
    <label>
      <span>{props.label}</span>
      <select value={value()} onChange={(event) => choose(event.currentTarget.value)}>
        <option value="">choose…</option>
        <For each={props.collection.members.filter(({ indexed }) => indexed)}>
          {({ name }) => (
            <option value={name} selected={name === value()}>
              {name}
            </option>
          )}
        </For>
      </select>
    </label>
  );
}

function Compared(props: { comparison: Comparison; names: readonly [string, string] }) {
  const own = () => route().own;
  const order = createMemo(() => PAIR_ORDERS.find((known) => known === own()['order']) ?? 'nearest');
  const bin = createMemo(() => (/^\d+$/.test(own()['bin'] ?? '') ? Number(own()['bin']) : undefined));
  const range = (): [number, number] | undefined => {
    const chosen = bin();
    // A cosine may exceed 1 by rounding.
    return chosen === undefined ? undefined : [chosen / BINS, chosen === BINS - 1 ? 2 : (chosen + 1) / BINS];
  };
  const pairs = createMemo(() => orderPairs(props.comparison.pairs, order(), range()));
  const listed = createMemo(() => pairs().slice(0, LISTED));
  const counts = createMemo(() => {
    const bins = new Array<number>(BINS).fill(0);
    for (const { cosine } of props.comparison.pairs) bins[Math.min(BINS - 1, Math.floor(cosine * BINS))]++;
    return bins;
  });
  const mutual = () => props.comparison.pairs.filter(({ mutual: is }) => is).length;
  const latent = () => {
    const wanted = route().latent;
    return wanted !== undefined && wanted < props.comparison.matches.length ? wanted : listed().at(0)?.a;
  };
  return (
    <div class="compare-columns">
      <div class="compare-list">
        <p class="faint">
          Of each feature of {props.names[0]} that fires, the nearest direction of {props.names[1]}: the
          median cosine is <strong>{figure(medianCosine(props.comparison.pairs))}</strong>, and{' '}
          {percent(mutual() / Math.max(1, props.comparison.pairs.length))} are each other's nearest.
        </p>
        <Bars
          label={`Histogram of the largest cosine of ${count(props.comparison.pairs.length)} features`}
          counts={counts()}
          from={0}
          to={1}
          format={figure}
          tone={(middle) => ({ kind: 'heat', strength: middle })}
          unit="features"
          picked={(place) => place === bin()}
          onPick={(place) => keep({ bin: place === bin() ? '' : String(place) })}
        />
        <div class="actions">
          <RadioGroup
            label="Order of the pairs"
            choices={PAIR_ORDERS}
            chosen={order()}
            name={(name) =>
              ({ nearest: 'nearest first', farthest: 'farthest first', number: 'by number' })[name]
            }
            onChoose={(name) => keep({ order: name === 'nearest' ? '' : name })}
          />
          <span class="faint">
            {pairs().length > LISTED ? `${LISTED} of ${count(pairs().length)}` : count(pairs().length)}
            {range() ? ' of the chosen bar' : ''}
          </span>
          <ViewFiles
            name={`${props.names[0]}--${props.names[1]}`}
            json={() => ({
              a: props.names[0],
              b: props.names[1],
              same_text: props.comparison.sameText,
              median_cosine: medianCosine(props.comparison.pairs),
              pairs: pairs(),
            })}
            picture=".compare-list .bars > svg"
            labels=".compare-list .bars .axis > span"
          />
        </div>
        <PairTable pairs={listed()} comparison={props.comparison} names={props.names} latent={latent()} />
      </div>
      <Show when={latent() !== undefined} fallback={<p class="faint">No feature fits.</p>}>
        <PairDetail
          comparison={props.comparison}
          names={props.names}
          latent={latent()!}
          match={Number(own()['match'] || 0)}
        />
      </Show>
    </div>
  );
}

function PairTable(props: {
  pairs: readonly MatchedPair[];
  comparison: Comparison;
  names: readonly [string, string];
  latent: number | undefined;
}) {
  const tokensA = createTopTokens(props.comparison.a, () => props.pairs.map(({ a }) => a));
  const tokensB = createTopTokens(props.comparison.b, () => props.pairs.map(({ b }) => b ?? -1));
  const pairHref = (latent: number) => ownHref({ match: '' }, latent);
  return (
    <table class="token-table pairs">
      <thead>
        <tr>
          <th colspan="2">{props.names[0]}</th>
          <th class="value">Cosine</th>
          <th colspan="2">{props.names[1]}</th>
        </tr>
      </thead>
      <tbody>
        <For each={props.pairs}>
          {(pair, i) => (
            <tr classList={{ chosen: pair.a === props.latent }}>
              <FeatureCells latent={pair.a} topToken={tokensA(i())} href={pairHref(pair.a)} />
              <td class="value" style={{ '--share': String(Math.max(0, pair.cosine)) }}>
                {figure(pair.cosine)}
              </td>
              <td class="latent">{pair.b ?? '–'}</td>
              <td>
                <code>{tokensB(i())}</code>
                <Show when={pair.mutual}>
                  {' '}
                  <span class="faint" title="Each is the other's nearest">
                    ↔<span class="sr">each other's nearest</span>
                  </span>
                </Show>
              </td>
            </tr>
          )}
        </For>
      </tbody>
    </table>
  );
}
