import { realpath } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { MonosemeError } from '../errors.ts';
import { readJson } from '../formats/index.ts';
import type { Dictionary } from './dictionary.ts';
import { jsonRecord, MAX_CONFIG_BYTES } from './exchange.ts';
import { weightsFile } from './load.ts';

/** What the files of a dictionary say of it. */
export interface Claims {
  /** Active latents a token. */
  readonly l0?: number;
  readonly explainedVariance?: number;
}

/**
 * What the files of a dictionary say of it: `l0` in the metadata of SAELens and the configuration of Gemma Scope 2,
 * `explained_variance` beside it where the dictionary was trained here, `eval_results.json` of dictionary_learning, the
 * folder's name `average_l0_71` of Gemma Scope, and k of TopK.
 *
 * @param path local path of the dictionary
 * @throws {MonosemeError} as {@link weightsFile}; ERR_FORMAT for a file beside it that is no JSON object
 */
export async function claimsOf(path: string, { config }: Dictionary): Promise<Claims> {
  const file = await realpath(await weightsFile(path));
  const beside = async (name: string) => {
    const at = join(dirname(file), name);
    try {
      return jsonRecord(await readJson(at, MAX_CONFIG_BYTES), at);
    } catch (error) {
      if (error instanceof MonosemeError && error.code === 'ERR_NOT_FOUND') return {};
      throw error;
    }
  };
  const results = await beside('eval_results.json');
  const published = await beside('config.json');
  const named = /average_l0_(\d+)/.exec(dirname(file))?.[1];
  const l0 = [config.metadata['l0'], results['l0'], published['l0'], named && Number(named), config.k].find(
    isNumber,
  );
  const explainedVariance = [config.metadata['explained_variance'], results['frac_variance_explained']].find(
    isNumber,
  );
  return { ...(l0 !== undefined && { l0 }), ...(explainedVariance !== undefined && { explainedVariance }) };
}

function isNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

/** L0 may be this many times off on other text; the mistakes that are looked for make it tens of times. */
const L0_FACTOR = 2;
/** Explained variance may be lower by this on other text. */
const VARIANCE_MARGIN = 0.15;
/** More of the latents than this are not active at once in a dictionary that is read right, unless its files say so. */
const L0_SHARE = 0.25;

/**
 * Sentences on what does not look right: figures that are far from what the files say, and where they say nothing,
 * figures that no dictionary has that is read right and used on the activations it was trained on. Empty when all is well.
 */
export function doubtsOf(
  { config }: Dictionary,
  claims: Claims,
  figures: { readonly l0: number; readonly explainedVariance: number },
): string[] {
  const { l0, explainedVariance } = figures;
  const doubts: string[] = [];
  const claimed = claims.l0;
  if (claimed === undefined) {
    if (l0 > config.dSae * L0_SHARE) doubts.push(`L0 is ${l0.toFixed(1)} of ${config.dSae} latents.`);
  } else if (l0 > claimed * L0_FACTOR || l0 < claimed / L0_FACTOR)
    doubts.push(`L0 is ${l0.toFixed(1)}, and its files say ${Number(claimed.toPrecision(4))}.`);
  const least = Math.max(0, (claims.explainedVariance ?? 0) - VARIANCE_MARGIN);
  if (explainedVariance >= least) return doubts;
  const percent = (share: number) => `${(100 * share).toFixed(1)} %`;
  const said =
    claims.explainedVariance === undefined ? '' : `, and its files say ${percent(claims.explainedVariance)}`;
  return [...doubts, `Explained variance is ${percent(explainedVariance)}${said}.`];
}
