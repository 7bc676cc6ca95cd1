import type { MethodResult } from '../toy/index.ts';
import { table, wrapped } from './table.ts';

/** Columns: lines of a terminal. */
const WIDTH = 80;

type Column = readonly [heading: string, cell: (result: MethodResult) => string];

/** Of directions; the true ones have nothing to find. */
const FOUND: readonly Column[] = [
  ['method', methodName],
  ['latents', ({ figures }) => String(figures.dSae)],
  ['dead', ({ figures }) => String(figures.dead)],
  ['MMCS', ({ figures }) => figures.mmcs.toFixed(3)],
  ['reverse', ({ figures }) => figures.mmcsReverse.toFixed(3)],
  ['> 0.9', ({ figures }) => figures.above09.toFixed(2)],
  ['MCC', ({ figures }) => figures.mcc.toFixed(3)],
];

/** Where the set has a circle. */
const ON_CIRCLE: Column = [
  'circle',
  ({ figures }) => String(Math.round((figures.inPlane as number) * figures.dSae)),
];

/** Of codes, on rows that nothing has learnt from. */
const CODED: readonly Column[] = [
  ['method', methodName],
  ['L0', ({ figures }) => figures.l0.toFixed(1)],
  ['F1', ({ figures }) => figures.f1.toFixed(3)],
  ['expl. var.', ({ figures }) => figures.explainedVariance.toFixed(3)],
  ['gap to OMP', ({ amortisationGap }) => amortisationGap?.toFixed(3) ?? ''],
  ['seconds', ({ seconds }) => seconds.toFixed(1)],
];

const ABOUT_FOUND =
  'MMCS: mean over the features of the largest cosine with a latent; reverse: over the latents, with a feature; ' +
  '> 0.9: features for which it is that large; MCC: mean |cosine| of the best one-to-one matching';
const ABOUT_CIRCLE = '; circle: latents laid around it';
const ABOUT_CODED =
  'F1: whether a latent fires where its feature does; gap to OMP: the explained variance that a search on the ' +
  'same directions adds.';

/** What every method found, and how its codes do; each within 80 columns, with what its headings mean. */
export function resultTables(results: readonly MethodResult[]): string {
  const { trueL0, inPlane } = results[0].figures;
  const isOnCircle = inPlane !== undefined;
  const tableOf = (columns: readonly Column[], rows: readonly MethodResult[]) =>
    table(
      columns.map(([heading]) => heading),
      rows.map((row) => columns.map(([, cell]) => cell(row))),
    );
  return [
    'Directions',
    tableOf(
      isOnCircle ? [...FOUND, ON_CIRCLE] : FOUND,
      results.filter(({ kind }) => kind !== 'true directions'),
    ),
    wrapped(`${ABOUT_FOUND}${isOnCircle ? ABOUT_CIRCLE : ''}.`, 0, WIDTH),
    '',
    `Codes, where ${trueL0.toFixed(1)} features are active in a row on average`,
    tableOf(CODED, results),
    wrapped(ABOUT_CODED, 0, WIDTH),
  ].join('\n');
}

/** With the true directions beside it, where a method is given them. */
export function methodName({ method, kind }: Pick<MethodResult, 'method' | 'kind'>): string {
  return kind === 'true directions' ? `${method}, true directions` : method;
}
