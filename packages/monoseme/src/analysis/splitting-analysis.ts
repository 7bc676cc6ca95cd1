import { snakeCaseKeys } from '../formats/index.ts';
import { plot } from '../plots/index.ts';
import { figureText, percentText, type ReportSection } from '../report/index.ts';
import { type Family, type FamilyMember, familyGraph, type FamilyLabels } from './family.ts';
import { MIN_COSINE, type Splitting } from './splitting.ts';
import { medianOf, MIN_FIRED } from './universality.ts';
import type { Analysis } from './write-analysis.ts';

const LISTED_FAMILIES = 30;
const LISTED_CHILDREN = 12;

/** @param families of latents that were asked for, drawn one by one */
export function splittingAnalysis(
  found: Splitting,
  families: readonly Family[] = [],
  labels: FamilyLabels = [() => '', () => ''],
): Analysis {
  const { edges, children, nCompared, nTokens, split } = found;
  const order = [...children.keys()].sort((a, b) => children[b] - children[a] || a - b);
  const listed = order.filter((latent) => children[latent] >= 2).slice(0, LISTED_FAMILIES);
  const most = Math.max(0, ...children);
  const counts = new Array<number>(most + 1).fill(0);
  for (const n of children) counts[n]++;
  const median = medianOf([...children].filter((n) => n > 0));
  const share = split
    ? `${percentText(split.value)}, ${percentText(split.interval[0])} to ${percentText(split.interval[1])}`
    : 'none is common enough to say';
  return {
    name: 'splitting',
    title: 'Feature splitting',
    summary: `${split?.hits ?? 0} of the ${nCompared[0]} compared latents of the smaller dictionary split into two or more of the larger (${share}).`,
    json: {
      n_tokens: nTokens,
      n_compared: nCompared,
      n_split: split?.hits ?? 0,
      share_split: split ? { value: split.value, interval: split.interval } : null,
      edges: edges.map(({ from, to, maskedCosine }) => [from, to, Number(maskedCosine.toPrecision(6))]),
      families: families.map(({ latent, nFired, children }) => ({
        ...{ latent, n_fired: nFired, top_token: labels[0](latent) },
        children: children.map(({ parents, ...child }) => ({
          ...snakeCaseKeys({ ...child }),
          top_token: labels[1](child.latent),
          other_parents: parents.map((parent) => ({
            ...snakeCaseKeys({ ...parent }),
            top_token: labels[0](parent.latent),
          })),
        })),
      })),
    },
    sections: [
      ...families.map((family) => familySection(family, labels)),
      {
        title: 'Refinement graph',
        text: [
          `Edges join latents whose masked cosine exceeds ${MIN_COSINE}. Latents active on fewer than ${MIN_FIRED} of ` +
            `${nTokens.toLocaleString('en')} tokens take no part. The interval of the share is Wilson's, over latents.`,
          `${edges.length} edges; a latent that has any goes into ${figureText(median)} in the median.`,
        ],
        figures: [
          plot({
            title: 'Into how many a latent splits',
            x: { label: 'latents of the larger dictionary' },
            y: { label: 'latents of the smaller' },
            marks: [{ kind: 'histogram', edges: [...counts.keys(), most + 1], counts }],
          }),
        ],
        tables: [
          {
            caption: 'The largest families',
            header: ['latent', 'goes into (masked cosine)'],
            rows: listed.map((latent) => [
              String(latent),
              edges
                .filter(({ from }) => from === latent)
                .slice(0, LISTED_CHILDREN)
                .map(({ to, maskedCosine }) => `${to} (${maskedCosine.toFixed(2)})`)
                .join(', '),
            ]),
          },
        ],
      },
    ],
  };
}

function familySection(family: Family, labels: FamilyLabels): ReportSection {
  const { latent, nFired, children } = family;
  const named = ({ latent, maskedCosine }: FamilyMember, side: 0 | 1) =>
    `${latent} ${labels[side](latent)} (${maskedCosine.toFixed(2)})`;
  const title = `Family of latent ${latent}`;
  if (nFired < MIN_FIRED)
    return {
      title,
      text: [`It is active on ${nFired} tokens of this text; ${MIN_FIRED} are needed: give more text.`],
    };
  if (children.length === 0)
    return { title, text: ['No latent of the larger dictionary is near it: it has no family.'] };
  return {
    title,
    text: [
      `${latent} ${labels[0](latent)} goes into ${children.length}. Beside each number: the token that it fires on most.`,
    ],
    figures: [familyGraph(family, labels)],
    tables: [
      {
        header: ['latent of the larger', 'masked cosine', 'tokens', 'fires on', 'refines others too'],
        rows: children.map((child) => [
          String(child.latent),
          child.maskedCosine.toFixed(3),
          child.nFired.toLocaleString('en'),
          labels[1](child.latent),
          child.parents.map((parent) => named(parent, 0)).join(', ') || '–',
        ]),
      },
    ],
  };
}
