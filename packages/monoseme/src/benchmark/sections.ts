import type { Share } from '../evaluation/index.ts';
import { plot } from '../plots/index.ts';
import { figureText, percentText, type ReportSection } from '../report/index.ts';
import { ENOUGH_LETTERS, type LetterAbsorptions } from './absorption.ts';
import type { MinimumDescription } from './description-length.ts';
import type { ColumnProbe, SparseProbing } from './sparse-probing.ts';
import type { SpuriousCorrelation } from './spurious-correlation.ts';
import type { Stability } from './stability.ts';
import type { TargetedPerturbation } from './targeted-perturbation.ts';

const mean = (values: readonly number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
const count = (n: number) => n.toLocaleString('en');

/** `81.0 % (78.2 … 83.5)` */
function shareText({ value, interval: [low, high] }: Share): string {
  return `${percentText(value)} (${(100 * low).toFixed(1)} … ${(100 * high).toFixed(1)})`;
}

export function probingSection({ probe, classes }: SparseProbing): ReportSection {
  const ks = classes[0].latents.map(({ k }) => k);
  const average = (of: 'latents' | 'neurons', i: number) =>
    mean(classes.map((one) => one[of][i].accuracy.value));
  const all = (of: 'latents' | 'neurons') => ks.map((_, i) => percentText(average(of, i))).join(', ');
  const bars = (name: string, values: number[]) => ({ kind: 'bars', name, values }) as const;
  const columns = (probes: readonly ColumnProbe[]) =>
    probes.map(({ accuracy }) => percentText(accuracy.value));
  const widest = Math.max(
    ...classes.flatMap(({ latents }) =>
      latents.map(({ accuracy: { interval } }) => interval[1] - interval[0]),
    ),
  );
  return {
    title: 'Sparse probing',
    text: [
      `${probe === 'ridge' ? 'Ridge' : 'Logistic'} probes on ${ks.join(', ')} latents are right on ${all('latents')} of the test texts; ` +
        `on as many neurons, on ${all('neurons')}; ` +
        `on the whole activation, on ${percentText(mean(classes.map(({ dense }) => dense.value)))}.`,
      `Each class against the rest, half and half, so that guessing is right on 50 %. Means over the classes. Intervals of 95 % are in the JSON; the widest spans ${(100 * widest).toFixed(0)} points.`,
    ],
    figures: [
      plot({
        title: 'Accuracy of probes',
        x: { label: 'accuracy on test texts', domain: [0, 1] },
        y: { label: 'columns read', categories: ks.map(String) },
        marks: [
          bars(
            'latents',
            ks.map((_, i) => average('latents', i)),
          ),
          bars(
            'neurons',
            ks.map((_, i) => average('neurons', i)),
          ),
          { kind: 'rule', name: 'whole activation', x: mean(classes.map(({ dense }) => dense.value)) },
        ],
      }),
    ],
    tables: [
      {
        header: [
          'class',
          'train on',
          'test on',
          ...ks.map((k) => (k === 1 ? '1 latent' : `${k} latents`)),
          ...ks.map((k) => (k === 1 ? '1 neuron' : `${k} neurons`)),
          'whole activation',
          'best latent',
        ],
        rows: classes.map(({ name, nTrain, dense, latents, neurons }) => [
          name,
          count(nTrain),
          count(dense.n),
          ...columns(latents),
          ...columns(neurons),
          percentText(dense.value),
          String(latents[0].columns[0]),
        ]),
      },
    ],
  };
}

export function perturbationSection({ classes, perturbations }: TargetedPerturbation): ReportSection {
  const best = perturbations.reduce((a, b) => (b.score > a.score ? b : a));
  return {
    title: 'Targeted probe perturbation',
    text: [
      `Ablating the ${best.n} latents of a class costs its probe ${percentText(best.intended)} of accuracy and the others ${percentText(best.unintended)}.`,
      `Probes before: ${classes.map(({ name, clean }) => `${name} ${shareText(clean)}`).join(', ')}. Score: the first fall minus the second.`,
      'An audit of SAEBench (arXiv 2605.18229) finds that this measure fails several checks; do not rank dictionaries by it alone.',
    ],
    figures: [
      plot({
        title: 'Fall of the accuracy',
        x: { label: 'latents ablated', scale: 'log' },
        y: { label: 'fall' },
        marks: (['intended', 'unintended'] as const).map((name) => ({
          ...{ kind: 'line', name },
          x: perturbations.map(({ n }) => n),
          y: perturbations.map((of) => of[name]),
        })),
      }),
    ],
    tables: [
      {
        header: ['latents ablated', 'score', 'own probe falls by', 'other probes by'],
        rows: perturbations.map(({ n, score, intended, unintended }) => [
          String(n),
          ...[score, intended, unintended].map((value) => percentText(value)),
        ]),
      },
    ],
  };
}

export function removalSection({ concept, spurious, removals, counted }: SpuriousCorrelation): ReportSection {
  const { ablated, biased, clean, scores } = removals[counted];
  const known = scores.filter(({ score }) => score !== undefined);
  const best = known.length === 0 ? undefined : known.reduce((a, b) => (b.score! > a.score! ? b : a));
  return {
    title: 'Spurious correlation removal',
    text: [
      best === undefined
        ? 'The biased probe is as good as a clean one: there is no correlation to remove, and no score.'
        : `Ablating ${best.n} latents of the ${ablated} label wins back ${percentText(best.score)} of what the biased probe loses.`,
      `The probe was fitted to texts with ${concept[0]} and ${spurious[0]} against ${concept[1]} and ${spurious[1]}; right on ${shareText(biased)} of balanced texts, where a probe fitted to such is on ${shareText(clean)}.`,
      'An audit of SAEBench (arXiv 2605.18229) finds that this measure fails several checks; do not rank dictionaries by it alone.',
    ],
    tables: removals.map((removal, i) => ({
      caption: `Ablating the ${removal.ablated} label${i === counted ? ' (counts)' : ''}: biased ${percentText(removal.biased.value)}, clean ${percentText(removal.clean.value)}`,
      header: ['latents ablated', 'accuracy then', 'score'],
      rows: removal.scores.map(({ n, accuracy, score }) => [
        String(n),
        shareText(accuracy),
        percentText(score),
      ]),
    })),
  };
}

export function absorptionSection(found: LetterAbsorptions): ReportSection {
  const { letters, nWords, meanFraction, meanFull, meanSplits } = found;
  const nCounting = letters.filter(({ counts }) => counts).length;
  return {
    title: 'Feature absorption',
    text: [
      meanFraction === undefined
        ? 'No probe finds a first letter in the activations well enough (F1 over 0.6): absorption is not defined here.'
        : `Of the first letters' directions ${percentText(meanFraction)} are absorbed by latents of single words; on ${percentText(meanFull)} of the words the letter's own latents are silent. A letter has ${figureText(1 + meanSplits!)} latents on average.`,
      `${count(nWords)} words of the vocabulary. ${nCounting} letters count.` +
        (nCounting < ENOUGH_LETTERS
          ? ` SAEBench takes a model with fewer than ${ENOUGH_LETTERS} for unfit: read these with care.`
          : ''),
    ],
    tables: [
      {
        header: [
          'letter',
          'F1 of the probe',
          'counts',
          'main latents',
          'F1 of these',
          'words found',
          'absorbed',
          'fully',
        ],
        rows: letters.map((of) => [
          of.letter,
          figureText(of.probeF1),
          of.counts ? 'yes' : 'no',
          of.mainLatents.join(' '),
          figureText(of.latentF1),
          String(of.nFound),
          percentText(of.counts ? of.fraction : undefined),
          percentText(of.counts ? of.full : undefined),
        ]),
      },
    ],
  };
}

export function descriptionSection(found: MinimumDescription): ReportSection {
  const { nTokens, explainedVariance, lengths, shortest } = found;
  return {
    title: 'Minimum description length',
    text: [
      shortest === undefined
        ? 'No number of bins keeps the explained variance within 0.01: there is no description length.'
        : `A token's latents take ${figureText(shortest.bits)} bits, ${figureText(shortest.bitsOfFiring)} of them for which ones fire, with ${shortest.bins} bins a latent.`,
      `Over ${count(nTokens)} tokens; each latent coded on its own. Without rounding, ${percentText(explainedVariance)} of the variance is explained; rounding may cost 0.01 of it.`,
    ],
    tables: [
      {
        header: ['bins', 'bits a token', 'of firing', 'explained variance'],
        rows: lengths.map((length) => [
          String(length.bins),
          figureText(length.bits),
          figureText(length.bitsOfFiring),
          percentText(length.explainedVariance),
        ]),
      },
    ],
  };
}

export function stabilitySection(found: Stability): ReportSection {
  const { nearest, fracFound, fracMutual, mcc, matchedCosines } = found;
  const edges = Array.from({ length: 21 }, (_, i) => i / 20);
  const counts = new Array<number>(20).fill(0);
  for (const cosine of matchedCosines) counts[Math.min(19, Math.max(0, Math.floor(20 * cosine)))]++;
  const pairs = mcc === undefined ? 'mutual nearest neighbours' : 'the best one-to-one matching';
  return {
    title: 'Stability between seeds',
    text: [
      mcc === undefined
        ? `${percentText(fracMutual)} of the latents are each other's nearest with one of the other dictionary.`
        : `In the best one-to-one matching the mean cosine of decoder directions is ${figureText(mcc)} (MCC).`,
      `${percentText(fracMutual)} of the latents of the smaller dictionary are each other's nearest with one of the other.`,
    ],
    figures: [
      plot({
        title: `Cosines of ${pairs}`,
        x: { label: 'cosine of decoder directions', domain: [0, 1] },
        y: { label: 'pairs' },
        marks: [{ kind: 'histogram', edges, counts }],
      }),
    ],
    tables: [
      {
        header: ['latents of', 'mean cosine with the nearest', 'found again, cosine at least 0.9'],
        rows: ['the dictionary', 'the other'].map((name, i) => [
          name,
          figureText(nearest[i]),
          percentText(fracFound[i]),
        ]),
      },
    ],
  };
}
