import { escapeHtml } from '../report/index.ts';
import type { Splitting } from './splitting.ts';

/** A latent that is joined to another one. */
export interface FamilyMember {
  readonly latent: number;
  /** Of the edge that joins it. */
  readonly maskedCosine: number;
}

/** A latent of the larger dictionary. */
export interface FamilyChild extends FamilyMember {
  /** Tokens on which it is active. */
  readonly nFired: number;
  /** Other latents of the smaller dictionary that it refines too, the strongest first: a graph, not a tree. */
  readonly parents: readonly FamilyMember[];
}

/** What a latent of the smaller dictionary became in the larger. */
export interface Family {
  readonly latent: number;
  readonly nFired: number;
  /** The strongest first; none where no edge leaves it. */
  readonly children: readonly FamilyChild[];
}

/** The family of a latent of the smaller dictionary in the refinement graph. */
export function familyOf({ edges, fired }: Splitting, latent: number): Family {
  const children = edges
    .filter(({ from }) => from === latent)
    .map(({ to, maskedCosine }): FamilyChild => {
      const others = edges.filter((edge) => edge.to === to && edge.from !== latent);
      others.sort((x, y) => y.maskedCosine - x.maskedCosine || x.from - y.from);
      return {
        ...{ latent: to, maskedCosine, nFired: fired[1][to] },
        parents: others.map((edge) => ({ latent: edge.from, maskedCosine: edge.maskedCosine })),
      };
    });
  return { latent, nFired: fired[0][latent], children };
}

/** What to write beside a latent of the smaller, and of the larger dictionary. */
export type FamilyLabels = readonly [smaller: (latent: number) => string, larger: (latent: number) => string];

const ROW = 26;
const COLUMN = 210;
const GAP = 220;
/** Children that are drawn; the table has all of them. */
const DRAWN = 40;

/** A family as an SVG graph: the latent and the others that its children refine on the left, the children on the right. */
export function familyGraph({ latent, children }: Family, labels: FamilyLabels): string {
  const drawn = children.slice(0, DRAWN);
  const left = [...new Set([latent, ...drawn.flatMap(({ parents }) => parents.map((one) => one.latent))])];
  const rows = Math.max(left.length, drawn.length);
  const height = (rows + 1) * ROW;
  const y = (place: number, n: number) => ROW + ((rows - n) * ROW) / 2 + place * ROW;
  const yLeft = new Map(left.map((one, place) => [one, y(place, left.length)]));
  const lines = drawn.flatMap((child, place) =>
    [{ latent, maskedCosine: child.maskedCosine }, ...child.parents].map(({ latent: from, maskedCosine }) => {
      const [y0, y1] = [yLeft.get(from)!, y(place, drawn.length)];
      const [x0, x1, bend] = [COLUMN + 8, COLUMN + GAP - 8, GAP / 2];
      const strength = `stroke-width="${(4 * maskedCosine).toFixed(1)}" class="${from === latent ? 'own' : 'other'}"`;
      return `<path d="M${x0} ${y0}C${x0 + bend} ${y0} ${x1 - bend} ${y1} ${x1} ${y1}" ${strength}><title>${maskedCosine.toFixed(2)}</title></path>`;
    }),
  );
  const name = (one: number, text: string) => escapeHtml(`${one}  ${text}`);
  const texts = [
    ...left.map(
      (one) =>
        `<text x="${COLUMN}" y="${yLeft.get(one)! + 4}" text-anchor="end"${one === latent ? ' font-weight="bold"' : ''}>${name(one, labels[0](one))}</text>`,
    ),
    ...drawn.map(
      (child, place) =>
        `<text x="${COLUMN + GAP}" y="${y(place, drawn.length) + 4}">${name(child.latent, labels[1](child.latent))}</text>`,
    ),
  ];
  const width = 2 * COLUMN + GAP;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="mono-family" role="img" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}">`,
    `<title>Family of latent ${latent}</title><style>.mono-family{--own:#0060a8;--other:#9a9a9a;--ink:#1b1b1b;font:12px system-ui,sans-serif}@media (prefers-color-scheme:dark){.mono-family{--own:#64b5f6;--other:#6d6d6d;--ink:#e6e6e6}}.mono-family text{fill:var(--ink);white-space:pre}.mono-family path{fill:none;stroke-opacity:.75}.mono-family .own{stroke:var(--own)}.mono-family .other{stroke:var(--other)}</style>`,
    ...lines,
    ...texts,
    '</svg>',
  ].join('');
}
