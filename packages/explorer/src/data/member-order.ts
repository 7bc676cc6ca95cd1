import type { Member } from './collection.ts';

/** Columns by which dictionaries are sorted, and where lower is the better end, from which a first click begins. */
export const MEMBER_COLUMNS = [
  ['name', 'Dictionary'],
  ['d_sae', 'Features'],
  ['l0', 'L0'],
  ['loss_recovered', 'Loss recovered'],
  ['explained_variance', 'Variance explained'],
  ['dead', 'Never fire'],
] as const;
export type MemberColumn = (typeof MEMBER_COLUMNS)[number][0];

const names = new Intl.Collator('en', { numeric: true });

/** Dictionaries by a column; those without the figure last, ties in the collection's order. */
export function sortMembers(
  members: readonly Member[],
  column: MemberColumn,
  descending: boolean,
): readonly Member[] {
  const sign = descending ? -1 : 1;
  if (column === 'name') return [...members].sort((a, b) => sign * names.compare(a.name, b.name));
  return [...members].sort((a, b) => {
    const [x, y] = [a[column], b[column]];
    if (x === null || y === null) return x === y ? 0 : x === null ? 1 : -1;
    return sign * (x - y);
  });
}

/** A dictionary's place in the plot: what it costs and what it keeps. */
export interface ParetoPoint {
  readonly member: Member;
  readonly l0: number;
  readonly kept: number;
  /** No other one has as small an L0 and keeps as much. */
  readonly onFront: boolean;
}

export const KEPT = ['loss_recovered', 'explained_variance'] as const;
export type Kept = (typeof KEPT)[number];

/** Those that have both figures, by L0. */
export function paretoPoints(members: readonly Member[], by: Kept): ParetoPoint[] {
  const points = members
    .flatMap((member) => {
      const { l0, [by]: kept } = member;
      return l0 === null || l0 <= 0 || kept === null ? [] : [{ member, l0, kept }];
    })
    .sort((a, b) => a.l0 - b.l0 || b.kept - a.kept);
  let best = -Infinity;
  return points.map((point) => {
    const onFront = point.kept > best;
    best = Math.max(best, point.kept);
    return { ...point, onFront };
  });
}

export const GROUPINGS = ['architecture', 'd_sae', 'model_name', 'hook_name'] as const;
export type Grouping = (typeof GROUPINGS)[number];

/** The groups of a collection, in order. */
export function groupsOf(members: readonly Member[], by: Grouping): string[] {
  return [...new Set(members.map((member) => String(member[by])))].sort(names.compare);
}
