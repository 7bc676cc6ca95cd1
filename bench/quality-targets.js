/** The figures that `npm run quality` is to reach, and whether measured ones do: in every seed and at every width. */

import { BY_SAELENS, PEER_ARCHITECTURES } from './quality-peers.js';

const SETS = ['small', 'planted', 'crowded', 'synth-sae-bench'];

/** Active latents a row on the small set, from … to: 2 features are. */
const L0_OF_SMALL = {
  standard: [2, 10],
  'april-2024': [2, 10],
  topk: [1.5, 2],
  'multi-topk': [1.5, 2],
  'january-2025': [0.9, 2],
  batchtopk: [1.9, 2.1],
  matryoshka: [1.9, 2.1],
  'matryoshka-random': [1.9, 2.1],
  jumprelu: [1.2, 2.5],
  gated: [1.2, 2.5],
  'p-annealing': [1.5, 4],
};

/**
 * A target without `dSae` is for every width of its set. `isFirst`: larger than that of every other kind. `isAbovePeer`: at
 * least what SAELens gives for the same rows (`--peers`).
 */
const TARGETS = [
  ...SETS.flatMap((set) =>
    ['standard', 'gated', 'jumprelu'].map((architecture) => ({
      set,
      architecture: `${architecture}, steered`,
      metric: 'l0_of_target',
      least: 0.95,
      most: 1.05,
    })),
  ),
  ...Object.entries(L0_OF_SMALL).flatMap(([architecture, [least, most]]) => [
    { set: 'small', architecture, metric: 'mmcs', least: 0.98 },
    { set: 'small', architecture, metric: 'above_09', least: 0.92 },
    { set: 'small', architecture, metric: 'l0', least, most },
  ]),
  ...['standard', 'gated', 'topk', 'batchtopk', 'jumprelu', 'matryoshka', 'matryoshka-random'].map(
    (architecture) => ({ set: 'planted', architecture, metric: 'mmcs', least: 0.99 }),
  ),
  { set: 'crowded', architecture: 'topk, faint', dSae: 256, metric: 'explained_variance', least: 0.8 },
  { set: 'crowded', architecture: 'topk, faint', dSae: 256, metric: 'mcc', least: 0.985 },
  { set: 'crowded', architecture: 'batchtopk', dSae: 256, metric: 'mcc', least: 0.98 },
  { set: 'crowded', architecture: 'batchtopk', metric: 'l0_of_target', least: 0.98, most: 1.02 },
  { set: 'crowded', architecture: 'jumprelu', dSae: 256, metric: 'mcc', least: 0.95 },
  { set: 'crowded', architecture: 'matryoshka', dSae: 256, metric: 'mcc', least: 0.9 },
  { set: 'crowded', architecture: 'matryoshka-random', dSae: 256, metric: 'mcc', least: 0.9 },
  { set: 'crowded', architecture: 'gated, split', dSae: 256, metric: 'mcc', least: 0.99 },
  { set: 'crowded', architecture: 'topk', dSae: 512, metric: 'frac_dead', most: 0.02 },
  { set: 'crowded', architecture: 'batchtopk', dSae: 512, metric: 'frac_dead', most: 0.02 },
  { set: 'synth-sae-bench', architecture: 'matryoshka', metric: 'f1', isFirst: true },
  { set: 'synth-sae-bench', architecture: 'matryoshka', metric: 'mcc', isFirst: true },
  ...PEER_ARCHITECTURES.flatMap((architecture) =>
    ['f1', 'mcc'].map((metric) => ({ set: 'synth-sae-bench', architecture, metric, isAbovePeer: true })),
  ),
];

/**
 * A row for every target and width that was measured: the mean over the seeds, the worst seed, and whether that one
 * reaches the target too.
 *
 * @param runs `{ set, architecture, dSae, seed, figures }`
 */
export function judged(runs) {
  return TARGETS.flatMap((target) => {
    const ofTarget = runs.filter(
      ({ set, architecture, dSae }) =>
        set === target.set &&
        architecture === target.architecture &&
        dSae === (target.dSae ?? dSae) &&
        (!isRelative(target) || runs.some((run) => isRival(run, target))),
    );
    const widths = [...new Set(ofTarget.map(({ dSae }) => dSae))];
    return widths.map((width) => {
      const own = ofTarget.filter(({ dSae }) => dSae === width);
      return judgedAt(target, own, runs);
    });
  });
}

function judgedAt(target, own, runs) {
  const shortfalls = own.map((run) => shortfall(target, run, runs));
  const largest = Math.max(...shortfalls);
  const values = own.map(({ figures }) => figures[target.metric]);
  return {
    set: target.set,
    architecture: target.architecture,
    dSae: own[0].dSae,
    what: `${target.metric} ${bounds(target)}`,
    mean: values.reduce((sum, value) => sum + value, 0) / values.length,
    worst: values[shortfalls.indexOf(largest)],
    isReached: largest <= 0,
  };
}

/** How far a run is on the wrong side of its target; at most 0 where it reaches it, which what is no number never does. */
function shortfall(target, run, runs) {
  const { metric, least = -Infinity, most = Infinity } = target;
  const value = run.figures[metric];
  if (!Number.isFinite(value)) return Infinity;
  if (!isRelative(target)) return Math.max(least - value, value - most);
  const rivals = runs.filter(
    (other) => isRival(other, target) && other.dSae === run.dSae && other.seed === run.seed,
  );
  return Math.max(...rivals.map(({ figures }) => figures[metric])) - value;
}

const isRelative = ({ isFirst, isAbovePeer }) => isFirst === true || isAbovePeer === true;

const isRival = (run, target) => (target.isFirst ? isOfAnotherKind(run, target) : isPeerOf(run, target));

const isPeerOf = (run, { set, architecture }) =>
  run.set === set && run.architecture === `${architecture}${BY_SAELENS}`;

/** Variants are of one kind: `matryoshka-random` is a Matryoshka. */
const isOfAnotherKind = (run, { set, architecture }) =>
  run.set === set && !run.architecture.startsWith(architecture) && !run.architecture.endsWith(BY_SAELENS);

function bounds({ least, most, isFirst, isAbovePeer }) {
  if (isFirst) return 'the largest';
  if (isAbovePeer) return 'as SAELens';
  return [least !== undefined && `≥ ${least}`, most !== undefined && `≤ ${most}`].filter(Boolean).join(', ');
}
