import { createMemo, For, Match, Show, Switch } from 'solid-js';
import type { Collection } from '../data/collection.ts';
import {
  compare,
  type Comparison,
  type MatchedPair,
  medianNearness,
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

/** What is measured, in the words of the view. */
const MEASURES = {
  direction: { what: 'the nearest direction', name: 'cosine', column: 'Cosine' },
  activation: {
    what: 'the feature whose activations correlate most with its own, over the same text,',
    name: 'correlation',
    column: 'Correlation',
  },
} as const;
/** Bins of the histogram of nearness from 0 to 1. */
const BINS = 40;
/** Pairs that are listed; the histogram chooses others. */
const LISTED = 60;

/** Two dictionaries, of one model or of two: which features of the one are found again in the other. */
export function CompareView(props: { collection: Collection }) {
  const own = () => route().own;
  const names = (): [string, string] => [own()['a'] ?? '', own()['b'] ?? ''];
  const chosen = createMemo(() => names().every((name) => name !== '') && names()[0] !== names()[1]);
  const comparison = createLoad(
    createMemo(() => [...names(), own()['by'] ?? ''].join('\n')),
    async () => (chosen() ? compare(props.collection, ...names(), own()['by']) : undefined),
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
        <Match when={comparison.error()}>
          {(error) => <ErrorNotice error={error()} failed={[comparison]} />}
        </Match>
        <Match when={comparison.loading()}>
          <p class="waiting" role="status">
            The two are compared…
          </p>
        </Match>
        <Match when={comparison.value()} keyed>
          {(shown) => <Compared comparison={shown} />}
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
          {({ name, label }) => (
            <option value={name} selected={name === value()}>
              {label}
            </option>
          )}
        </For>
      </select>
    </label>
  );
}

function Compared(props: { comparison: Comparison }) {
  const own = () => route().own;
  const labels = () => props.comparison.members.map(({ label }) => label);
  const names = () => props.comparison.members.map(({ name }) => name);
  const order = createMemo(() => PAIR_ORDERS.find((known) => known === own()['order']) ?? 'nearest');
  const bin = createMemo(() => (/^\d+$/.test(own()['bin'] ?? '') ? Number(own()['bin']) : undefined));
  const range = (): [number, number] | undefined => {
    const chosen = bin();
    if (chosen === undefined) return undefined;
    // A cosine may exceed 1 by rounding, and a correlation be below 0.
    return [chosen === 0 ? -1 : chosen / BINS, chosen === BINS - 1 ? 2 : (chosen + 1) / BINS];
  };
  const pairs = createMemo(() => orderPairs(props.comparison.pairs, order(), range()));
  const listed = createMemo(() => pairs().slice(0, LISTED));
  const counts = createMemo(() => {
    const bins = new Array<number>(BINS).fill(0);
    for (const { nearness } of props.comparison.pairs)
      bins[Math.min(BINS - 1, Math.max(0, Math.floor(nearness * BINS)))]++;
    return bins;
  });
  const mutual = () => props.comparison.pairs.filter(({ mutual: is }) => is).length;
  const isMutualKnown = () => props.comparison.pairs.some(({ mutual: is }) => is !== undefined);
  const measure = () => MEASURES[props.comparison.by];
  const latent = () => {
    const wanted = route().latent;
    return wanted !== undefined && wanted < props.comparison.matches.length ? wanted : listed().at(0)?.a;
  };
  return (
    <div class="compare-columns">
      <div class="compare-list">
        <p class="faint">
          Of each feature of {labels()[0]} that fires, {measure().what} of {labels()[1]}: the median{' '}
          {measure().name} is <strong>{figure(medianNearness(props.comparison.pairs))}</strong>
          <Show when={isMutualKnown()}>
            , and {percent(mutual() / Math.max(1, props.comparison.pairs.length))} are each other's nearest
          </Show>
          .
        </p>
        <Show when={props.comparison.ways.length > 1}>
          <RadioGroup
            label="Matched by"
            choices={props.comparison.ways}
            chosen={props.comparison.by}
            name={(way) => `by ${way}`}
            onChoose={(way) => keep({ by: way, match: '', bin: '' })}
          />
        </Show>
        <Bars
          label={`Histogram of the largest ${measure().name} of ${count(props.comparison.pairs.length)} features`}
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
            name={names().join('--')}
            json={() => ({
              a: names()[0],
              b: names()[1],
              matched_by: props.comparison.by,
              same_text: props.comparison.text !== 'apart',
              median: medianNearness(props.comparison.pairs),
              pairs: pairs(),
            })}
            picture=".compare-list .bars > svg"
            labels=".compare-list .bars .axis > span"
          />
        </div>
        <PairTable pairs={listed()} comparison={props.comparison} latent={latent()} />
      </div>
      <Show when={latent() !== undefined} fallback={<p class="faint">No feature fits.</p>}>
        <PairDetail comparison={props.comparison} latent={latent()!} match={Number(own()['match'] || 0)} />
      </Show>
    </div>
  );
}

function PairTable(props: {
  pairs: readonly MatchedPair[];
  comparison: Comparison;
  latent: number | undefined;
}) {
  const tokensA = createTopTokens(props.comparison.a, () => props.pairs.map(({ a }) => a));
  const tokensB = createTopTokens(props.comparison.b, () => props.pairs.map(({ b }) => b ?? -1));
  const pairHref = (latent: number) => ownHref({ match: '' }, latent);
  return (
    <table class="token-table pairs">
      <thead>
        <tr>
          <th colspan="2">{props.comparison.members[0].label}</th>
          <th class="value">{MEASURES[props.comparison.by].column}</th>
          <th colspan="2">{props.comparison.members[1].label}</th>
        </tr>
      </thead>
      <tbody>
        <For each={props.pairs}>
          {(pair, i) => (
            <tr classList={{ chosen: pair.a === props.latent }}>
              <FeatureCells latent={pair.a} topToken={tokensA(i())} href={pairHref(pair.a)} />
              <td class="value" style={{ '--share': String(Math.max(0, pair.nearness)) }}>
                {figure(pair.nearness)}
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
