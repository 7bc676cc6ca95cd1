import { createMemo, For, Show } from 'solid-js';
import type { Collection, Member } from '../data/collection.ts';
import { count, figure, percent } from '../data/format.ts';
import { GROUPINGS, KEPT, MEMBER_COLUMNS, paretoPoints, sortMembers } from '../data/member-order.ts';
import { DensityStrip, densityRange } from '../parts/density-strip.tsx';
import { ParetoPlot } from '../parts/pareto-plot.tsx';
import { RadioGroup } from '../parts/radio-group.tsx';
import { ViewFiles } from '../parts/view-files.tsx';
import { collectionHref, keep, memberHref, ownHref, route } from '../state/route.ts';

const GROUPING_NAMES = {
  architecture: 'architecture',
  d_sae: 'size',
  model_name: 'model',
  hook_name: 'hook',
};
const KEPT_NAMES = { loss_recovered: 'loss recovered', explained_variance: 'variance explained' };
const LAYOUTS = ['table', 'multiples'] as const;

/** All dictionaries of a collection: what each costs, keeps and how its features are spread. */
export function CollectionView(props: { collection: Collection }) {
  const own = () => route().own;
  const all = () => props.collection.members;
  const column = () => MEMBER_COLUMNS.find(([name]) => name === own()['by'])?.[0] ?? 'name';
  const descending = () => own()['order'] === 'desc';
  const members = createMemo(() => sortMembers(all(), column(), descending()));
  const kept = () => KEPT.find((name) => name === own()['kept']) ?? 'loss_recovered';
  const grouping = () =>
    GROUPINGS.find((name) => name === own()['group']) ?? (manySizes(all()) ? 'd_sae' : 'architecture');
  const layout = () => LAYOUTS.find((name) => name === own()['as']) ?? 'table';
  const picked = () =>
    (own()['pick'] ?? '').split(',').filter((name) => all().some((one) => one.name === name));
  const range = createMemo(() => densityRange(all()));
  const pick = (name: string) => {
    const others = picked().filter((other) => other !== name);
    keep({ pick: (picked().includes(name) ? others : [...others.slice(-1), name]).join(',') });
  };

  return (
    <section class="collection" aria-labelledby="collection-title">
      <h1 id="collection-title">{count(all().length)} dictionaries</h1>
      <p class="faint">
        Those up and to the left keep more with fewer features. Choose one to read it, or tick two to compare
        them.
      </p>
      <div class="actions">
        <RadioGroup
          label="Height in the plot"
          choices={KEPT}
          chosen={kept()}
          name={(choice) => KEPT_NAMES[choice]}
          onChoose={(choice) => keep({ kept: choice })}
        />
        <RadioGroup
          label="Colour by"
          choices={GROUPINGS}
          chosen={grouping()}
          name={(choice) => GROUPING_NAMES[choice]}
          onChoose={(choice) => keep({ group: choice })}
        />
        <ViewFiles
          name="collection"
          json={() => ({ members: members().map(({ label: _, ...member }) => member) })}
          picture={paretoPoints(all(), kept()).length > 0 ? '.pareto > svg' : undefined}
          labels=".pareto .key"
        />
      </div>
      <ParetoPlot members={all()} kept={kept()} grouping={grouping()} picked={picked()} />
      <div class="actions">
        <RadioGroup
          label="Show as"
          choices={LAYOUTS}
          chosen={layout()}
          onChoose={(choice) => keep({ as: choice === 'table' ? '' : choice })}
        />
        <Show when={layout() === 'multiples'}>
          <SortChoice column={column()} descending={descending()} />
        </Show>
        <Show
          when={picked().length === 2}
          fallback={<span class="faint">{picked().length === 1 ? 'tick one more to compare' : ''}</span>}
        >
          <a class="primary" href={collectionHref('compare', { a: picked()[0], b: picked()[1] })}>
            Compare {props.collection.labelOf(picked()[0])} with {props.collection.labelOf(picked()[1])}
          </a>
        </Show>
      </div>
      <Show
        when={layout() === 'table'}
        fallback={
          <Multiples
            {...{ members: members(), collection: props.collection, picked: picked(), range: range() }}
            onPick={pick}
          />
        }
      >
        <MemberTable
          {...{ members: members(), collection: props.collection, picked: picked(), range: range() }}
          column={column()}
          descending={descending()}
          onPick={pick}
        />
      </Show>
    </section>
  );
}

function manySizes(members: readonly Member[]): boolean {
  return new Set(members.map(({ d_sae }) => d_sae)).size > 1;
}

interface MembersProps {
  readonly collection: Collection;
  readonly members: readonly Member[];
  readonly picked: readonly string[];
  readonly range: readonly [number, number];
  readonly onPick: (name: string) => void;
}

function MemberTable(props: MembersProps & { column: string; descending: boolean }) {
  const sortHref = (name: string) => {
    const again = props.column === name;
    return ownHref({ by: name, order: again && !props.descending ? 'desc' : 'asc' });
  };
  return (
    <div class="scrolls" tabindex="0" role="region" aria-label="Table of the dictionaries">
      <table class="members">
        <thead>
          <tr>
            <th>
              <span class="sr">Compare</span>
            </th>
            <For each={MEMBER_COLUMNS}>
              {([name, title], i) => (
                <th
                  classList={{ value: i() > 0 }}
                  aria-sort={props.column !== name ? 'none' : props.descending ? 'descending' : 'ascending'}
                >
                  <a href={sortHref(name)} classList={{ sorted: props.column === name }}>
                    {title}
                    <span class="arrow" aria-hidden="true">
                      {props.column === name ? (props.descending ? '↓' : '↑') : ''}
                    </span>
                  </a>
                </th>
              )}
            </For>
            <th>Density</th>
            <th>Trained on</th>
          </tr>
        </thead>
        <tbody>
          <For each={props.members}>
            {(member) => (
              <tr classList={{ chosen: props.picked.includes(member.name) }}>
                <td>
                  <PickBox member={member} picked={props.picked} onPick={props.onPick} />
                </td>
                <td>
                  <MemberName member={member} />
                </td>
                <td class="value">{count(member.d_sae)}</td>
                <td class="value">{shown(member.l0, figure)}</td>
                <td class="value">{shown(member.loss_recovered, percent)}</td>
                <td class="value">{shown(member.explained_variance, percent)}</td>
                <td class="value">{shown(member.dead, percent)}</td>
                <td>
                  <DensityStrip
                    member={member}
                    binsPerPower={props.collection.binsPerPower}
                    range={props.range}
                  />
                </td>
                <td class="faint trained">
                  {member.model_name} · {member.hook_name}
                  <br />
                  {member.architecture}
                  {member.seed === null ? '' : ` · seed ${member.seed}`}
                </td>
              </tr>
            )}
          </For>
        </tbody>
      </table>
    </div>
  );
}

function Multiples(props: MembersProps) {
  return (
    <ul class="multiples">
      <For each={props.members}>
        {(member) => (
          <li class="card" classList={{ chosen: props.picked.includes(member.name) }}>
            <div class="card-head">
              <MemberName member={member} />
              <PickBox member={member} picked={props.picked} onPick={props.onPick} />
            </div>
            <DensityStrip member={member} binsPerPower={props.collection.binsPerPower} range={props.range} />
            <dl>
              <Multiple name="L0" value={shown(member.l0, figure)} />
              <Multiple
                name="Loss recovered"
                value={shown(member.loss_recovered, percent)}
                share={member.loss_recovered}
              />
              <Multiple
                name="Variance"
                value={shown(member.explained_variance, percent)}
                share={member.explained_variance}
              />
              <Multiple name="Never fire" value={shown(member.dead, percent)} share={member.dead} />
            </dl>
          </li>
        )}
      </For>
    </ul>
  );
}

function Multiple(props: { name: string; value: string; share?: number | null }) {
  return (
    <div>
      <dt>{props.name}</dt>
      <dd style={{ '--share': String(Math.min(1, Math.max(0, props.share ?? 0))) }}>{props.value}</dd>
    </div>
  );
}

function SortChoice(props: { column: string; descending: boolean }) {
  return (
    <label>
      <span>Sort by</span>
      <select
        value={props.column}
        onChange={(event) =>
          keep({ by: event.currentTarget.value, order: props.descending ? 'desc' : 'asc' })
        }
      >
        <For each={MEMBER_COLUMNS}>
          {([name, title]) => (
            <option value={name} selected={props.column === name}>
              {title}
            </option>
          )}
        </For>
      </select>
      <button type="button" class="text" onClick={() => keep({ order: props.descending ? 'asc' : 'desc' })}>
        {props.descending ? 'largest first' : 'smallest first'}
      </button>
    </label>
  );
}

function MemberName(props: { member: Member }) {
  return (
    <Show
      when={props.member.indexed}
      fallback={
        <span title={props.member.problem ?? 'Build its index to read its features: monoseme index.'}>
          {props.member.label}{' '}
          <span class="faint">{props.member.problem ? 'damaged index' : 'no index'}</span>
        </span>
      }
    >
      <a class="member" href={memberHref(props.member.name)} title={props.member.name}>
        {props.member.label}
      </a>
    </Show>
  );
}

function PickBox(props: { member: Member; picked: readonly string[]; onPick: (name: string) => void }) {
  return (
    <Show when={props.member.indexed}>
      <input
        type="checkbox"
        aria-label={`Compare ${props.member.label}`}
        checked={props.picked.includes(props.member.name)}
        onChange={() => props.onPick(props.member.name)}
      />
    </Show>
  );
}

function shown(value: number | null, format: (value: number) => string): string {
  return value === null ? '–' : format(value);
}
