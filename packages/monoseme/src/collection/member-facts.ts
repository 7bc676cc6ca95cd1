import { join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { type FeatureIndex, openFeatureIndex } from '../features/index.ts';
import { readJson } from '../formats/index.ts';
import { RESULT_FILE } from '../sweep/index.ts';
import type { FoundMember } from './find-members.ts';

/** Bins of the density histograms: a quarter of a power of ten. */
export const BINS_PER_POWER = 4;
const MAX_RESULT_BYTES = 1 << 16;

/** What a collection tells of a member, in the names of its manifest. */
export interface MemberFacts {
  readonly name: string;
  /** Whether its features can be opened; a run of a sweep without an index has figures only. */
  readonly indexed: boolean;
  /** Why its index cannot be opened; null where it can. */
  readonly problem: string | null;
  readonly architecture: string;
  /** Null where a run has no index that says it. */
  readonly d_in: number | null;
  readonly d_sae: number;
  readonly model_name: string;
  readonly hook_name: string;
  readonly seed: number | null;
  /** The coefficient or k of a sweep's run. */
  readonly sparsity: number | null;
  readonly n_tokens: number | null;
  /** SHA-256 of the corpus: examples of two members with the same one can be laid side by side. */
  readonly corpus: string | null;
  readonly l0: number | null;
  readonly loss_recovered: number | null;
  readonly explained_variance: number | null;
  /** Share of the latents that never fired. */
  readonly dead: number | null;
  /** Latents by density: bin i counts those in [10^((low + i)/4), 10^((low + i + 1)/4)); null without an index. */
  readonly densities: { readonly low: number; readonly counts: readonly number[] } | null;
}

/** What is known of a member; of one whose index is damaged what its run says, and the problem. */
export async function factsOf({ name, index, run }: FoundMember): Promise<MemberFacts> {
  const row = run === undefined ? {} : await resultRow(run).catch(() => ({}));
  if (index === undefined) return factsOfRun(name, row);
  try {
    return await factsOfIndex(name, await openFeatureIndex(index), row);
  } catch (error) {
    if (!(error instanceof MonosemeError)) throw error;
    return { ...factsOfRun(name, row), problem: error.message };
  }
}

type Row = Readonly<Record<string, unknown>>;

async function resultRow(folder: string): Promise<Row> {
  const stored = (await readJson(join(folder, RESULT_FILE), MAX_RESULT_BYTES)) as { row?: unknown } | null;
  return typeof stored?.row === 'object' && stored.row !== null ? (stored.row as Row) : {};
}

function factsOfRun(name: string, row: Row): MemberFacts {
  const text = (key: string) => (typeof row[key] === 'string' ? row[key] : '');
  const dSae = number(row['d_sae']) ?? 0;
  const dead = number(row['dead']);
  return {
    ...{ name, indexed: false, problem: null, architecture: text('architecture'), d_in: null, d_sae: dSae },
    ...{ model_name: modelName(text('model')), hook_name: text('hook') },
    ...{ seed: number(row['seed']), sparsity: number(row['sparsity']), n_tokens: null, corpus: null },
    ...{ l0: number(row['l0']), loss_recovered: number(row['loss_recovered']) },
    explained_variance: number(row['explained_variance']),
    dead: dead === null || dSae === 0 ? null : dead / dSae,
    densities: null,
  };
}

async function factsOfIndex(name: string, index: FeatureIndex, row: Row): Promise<MemberFacts> {
  const { dictionary, evaluation, corpus, files } = index.details;
  const density = await index.figures('density');
  const alive = density.filter((share) => share > 0);
  return {
    ...{ name, indexed: true, problem: null, ...dictionary },
    ...{ seed: number(row['seed']), sparsity: number(row['sparsity']) },
    n_tokens: corpus.n_tokens,
    corpus: files.find(({ path }) => path === 'corpus/tokens.bin')?.sha256 ?? null,
    l0: number(evaluation['l0']) ?? number(row['l0']),
    loss_recovered: number(evaluation['ce_loss_score']) ?? number(row['loss_recovered']),
    explained_variance: number(evaluation['explained_variance']) ?? number(row['explained_variance']),
    dead: 1 - alive.length / density.length,
    densities: densityHistogram(alive),
  };
}

/** @param alive densities above 0 */
function densityHistogram(alive: Float64Array): MemberFacts['densities'] {
  if (alive.length === 0) return { low: 0, counts: [] };
  const bins = Int32Array.from(alive, (share) =>
    Math.min(-1, Math.floor(Math.log10(share) * BINS_PER_POWER)),
  );
  const low = bins.reduce((a, b) => Math.min(a, b));
  const high = bins.reduce((a, b) => Math.max(a, b));
  const counts = new Array<number>(high - low + 1).fill(0);
  for (const bin of bins) counts[bin - low]++;
  return { low, counts };
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) ? value : null;
}

/** A model is named as in an index: by its folder. */
function modelName(path: string): string {
  return (
    path
      .replace(/[\\/]+$/, '')
      .split(/[\\/]/)
      .at(-1) ?? path
  );
}
