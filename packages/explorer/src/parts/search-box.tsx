import { createMemo, createSignal, For, Show } from 'solid-js';
import { clusterName, clustersNamed } from '../data/cluster-names.ts';
import type { ClusterRow, FeatureIndex } from '../data/feature-index.ts';
import { count } from '../data/format.ts';
import { patternFlags, patternOf, patternProblem } from '../data/pattern.ts';
import { tokenLabel } from '../data/segments.ts';
import { createLoad } from '../state/load.ts';
import { featureHref, freshListHref, go } from '../state/route.ts';

interface Choice {
  readonly kind: string;
  readonly what: string;
  readonly note: string;
  readonly href: string;
}

const MOST_TOKENS = 7;
const MOST_CLUSTERS = 2;
/** Tokens that a pattern may stand for; an address names them all. */
const MOST_FITTING = 60;

/** One box for numbers, tokens and text. Nothing leaves the browser. */
export function SearchBox(props: { index: FeatureIndex }) {
  const [text, setText] = createSignal('');
  const [open, setOpen] = createSignal(false);
  const [active, setActive] = createSignal(0);
  const clusters = createLoad(
    () => [props.index, text()] as const,
    ([index, current]) => clustersNamed(index, current),
  );
  const choices = createMemo(() => choicesFor(props.index, text(), clusters.value() ?? []));
  let input!: HTMLInputElement;

  const choose = (choice: Choice | undefined) => {
    if (!choice || choice.href === '') return;
    go(choice.href);
    setOpen(false);
    setText('');
    input.blur();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    const moves: Record<string, number> = { ArrowDown: 1, ArrowUp: -1 };
    if (event.key in moves && choices().length > 0) {
      event.preventDefault();
      setActive((active() + moves[event.key] + choices().length) % choices().length);
    } else if (event.key === 'Enter') {
      choose(choices()[active()]);
    } else if (event.key === 'Escape') {
      if (text() === '') input.blur();
      setText('');
    }
  };

  return (
    <div class="search" role="search">
      <input
        id="search"
        ref={input}
        type="search"
        autocomplete="off"
        spellcheck={false}
        placeholder="Search a number, token, text or /pattern/"
        aria-label="Search a number, token, text or /pattern/"
        role="combobox"
        aria-expanded={open() && choices().length > 0}
        aria-controls="search-choices"
        aria-autocomplete="list"
        aria-activedescendant={choices().length > 0 ? `search-choice-${active()}` : undefined}
        value={text()}
        onInput={(event) => {
          setText(event.currentTarget.value);
          setActive(0);
          setOpen(true);
        }}
        onFocus={() => setOpen(true)}
        onBlur={() => setOpen(false)}
        onKeyDown={onKeyDown}
      />
      <kbd class="slash" aria-hidden="true">
        /
      </kbd>
      <Show when={open() && text() !== ''}>
        <ul id="search-choices" role="listbox" aria-label="Where to look">
          <For each={choices()}>
            {(choice, i) => (
              <li
                id={`search-choice-${i()}`}
                role="option"
                aria-selected={i() === active()}
                onPointerDown={(event) => {
                  event.preventDefault();
                  choose(choice);
                }}
                onPointerMove={() => setActive(i())}
              >
                <span class="kind">{choice.kind}</span>
                <code>{choice.what}</code>
                <span class="note">{choice.note}</span>
              </li>
            )}
          </For>
        </ul>
      </Show>
    </div>
  );
}

/** Where a pattern between slashes can be looked for. */
function choicesForPattern(index: FeatureIndex, text: string, pattern: string): Choice[] {
  const problem = patternProblem(pattern);
  if (problem !== undefined) return [{ kind: 'No pattern', what: text, note: problem, href: '' }];
  const tokens = index.vocabulary.matching(
    new RegExp(pattern, patternFlags(pattern).replace('g', '')),
    MOST_FITTING,
  );
  const labels = tokens.slice(0, 4).map((token) => tokenLabel(index.vocabulary.text(token)));
  return [
    { kind: 'In examples', what: text, note: 'pattern', href: freshListHref({ text }) },
    ...(tokens.length > 0
      ? [
          {
            kind: 'Fires on',
            what: labels.join('  '),
            note: tokens.length > 1 ? `any of ${tokens.length} that fit` : 'fits',
            href: freshListHref({ tokens }),
          },
        ]
      : []),
    ...explained(index, text, 'pattern'),
  ];
}

function explained(index: FeatureIndex, text: string, note: string): Choice[] {
  if (!index.manifest.explanations) return [];
  return [{ kind: 'Explained as', what: text, note, href: freshListHref({ about: text }) }];
}

function choicesFor(index: FeatureIndex, text: string, clusters: readonly ClusterRow[]): Choice[] {
  if (text === '') return [];
  const pattern = patternOf(text);
  if (pattern !== undefined) return choicesForPattern(index, text, pattern);
  const choices: Choice[] = [];
  const number = /^\s*#?(\d{1,9})\s*$/.exec(text);
  if (number && Number(number[1]) < index.nFeatures)
    choices.push({
      kind: 'Go to',
      what: `feature ${number[1]}`,
      note: '',
      href: featureHref(Number(number[1])),
    });

  const { vocabulary } = index;
  const tokens = vocabulary.search(text, MOST_TOKENS);
  const forms = vocabulary
    .search(text, 40)
    .filter((token) => vocabulary.text(token).trim().toLowerCase() === text.trim().toLowerCase());
  if (forms.length > 1)
    choices.push({
      kind: 'Fires on',
      what: forms.map((token) => tokenLabel(vocabulary.text(token))).join('  '),
      note: 'any of these',
      href: freshListHref({ tokens: forms }),
    });
  for (const token of tokens)
    choices.push({
      kind: 'Fires on',
      what: tokenLabel(vocabulary.text(token)),
      note: `${count(vocabulary.counts[token])} in the text`,
      href: freshListHref({ tokens: [token] }),
    });
  for (const row of clusters.slice(0, MOST_CLUSTERS))
    choices.push({
      kind: 'Cluster',
      what: clusterName(index, row),
      note: `${count(row.n_features)} features`,
      href: freshListHref({ cluster: row.cluster }),
    });
  choices.push({ kind: 'In examples', what: text, note: 'exact text', href: freshListHref({ text }) });
  choices.push(...explained(index, text, 'exact text'));
  if (index.manifest.logits)
    for (const token of tokens.slice(0, 2))
      choices.push({
        kind: 'Predicts',
        what: tokenLabel(vocabulary.text(token)),
        note: 'among its top logits',
        href: freshListHref({ promotes: token }),
      });
  return choices;
}
