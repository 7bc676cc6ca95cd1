import { type Share, shareOf } from '../evaluation/index.ts';
import { type BinarySet, oneAgainstRest, type Split } from './class-sets.ts';
import {
  codeColumns,
  codeMeanDifference,
  denseColumns,
  denseMeanDifference,
  largestPlaces,
} from './code-columns.ts';
import type { ProbeExamples } from './examples.ts';
import { fitProbe, type Probe, type ProbeKind, probeScore } from './probe.ts';
import { turn } from './turn.ts';

/** A probe on some columns, and how often it is right on texts that it was not fitted to. */
export interface ColumnProbe {
  readonly k: number;
  /** Latents or neurons, the largest mean difference first. */
  readonly columns: readonly number[];
  readonly accuracy: Share;
}

export interface ClassProbes {
  readonly name: string;
  readonly nTrain: number;
  /** A probe on the whole activation. */
  readonly dense: Share;
  readonly latents: readonly ColumnProbe[];
  readonly neurons: readonly ColumnProbe[];
}

export interface SparseProbing {
  readonly probe: ProbeKind;
  readonly classes: readonly ClassProbes[];
}

export interface ProbingOptions {
  readonly probe: ProbeKind;
  /** Numbers of latents. */
  readonly ks: readonly number[];
  /** Texts of a class, at most, for training; a quarter of it for testing. */
  readonly perClass: number;
  readonly seed: number;
  readonly signal?: AbortSignal;
}

/** Train and test sets of every class against the rest. */
export function probeSets(
  classes: ReadonlyMap<string, Split<readonly number[]>>,
  { perClass, seed }: Pick<ProbingOptions, 'perClass' | 'seed'>,
): Map<string, Split<BinarySet>> {
  const side = (which: keyof Split<unknown>) => new Map([...classes].map(([name, of]) => [name, of[which]]));
  const [train, test] = [side('train'), side('test')];
  return new Map(
    [...classes.keys()].map((name) => [
      name,
      {
        train: oneAgainstRest(train, name, perClass, seed),
        test: oneAgainstRest(test, name, Math.ceil(perClass / 4), seed),
      },
    ]),
  );
}

/**
 * How well k latents tell a class from the rest, beside k neurons and the whole activation.
 *
 * The k columns are those with the largest |mean over the class − mean over the rest| on the training texts; a probe is
 * fitted to them alone. Accuracies are on the test texts, half of which are of the class: guessing is right on half.
 * Source  SAEBench, sparse probing (Gurnee et al. 2023); see docs/evaluation.md for the differences
 */
export async function sparseProbing(
  { means, dIn, codes }: ProbeExamples,
  classes: ReadonlyMap<string, Split<readonly number[]>>,
  options: ProbingOptions,
): Promise<SparseProbing> {
  const { probe: kind, ks } = options;
  const found: ClassProbes[] = [];
  for (const [name, set] of probeSets(classes, options)) {
    await turn(options.signal);
    const { rows, isPositive } = set.train;
    const probes = (difference: Float64Array, take: (columns: readonly number[]) => Float32Array) =>
      ks.map((k) => {
        const columns = largestPlaces(difference.map(Math.abs), k);
        return { k, columns, accuracy: fitAndTest(kind, take(columns), columns.length, set).accuracy };
      });
    found.push({
      ...{ name, nTrain: rows.length },
      dense: fitAndTest(kind, means, dIn, set).accuracy,
      latents: probes(codeMeanDifference(codes, rows, isPositive), (columns) => codeColumns(codes, columns)),
      neurons: probes(denseMeanDifference(means, dIn, rows, isPositive), (columns) =>
        denseColumns(means, dIn, columns),
      ),
    });
  }
  return { probe: kind, classes: found };
}

export function fitAndTest(
  kind: ProbeKind,
  x: Float32Array,
  width: number,
  { train, test }: Split<BinarySet>,
): { probe: Probe; accuracy: Share } {
  const probe = fitProbe(kind, { x, width, ...train });
  return { probe, accuracy: accuracyOf(test, (row) => probeScore(probe, x, row)) };
}

/** Share of the examples on whose right side the score lies. */
export function accuracyOf({ rows, isPositive }: BinarySet, score: (row: number) => number): Share {
  let hits = 0;
  rows.forEach((row, i) => (hits += score(row) > 0 === (isPositive[i] === 1) ? 1 : 0));
  return shareOf(hits, rows.length);
}
