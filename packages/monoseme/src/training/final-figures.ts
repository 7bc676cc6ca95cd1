import { architectureNamed, decode, type Dictionary, encode } from '../dictionary/index.ts';
import { snakeCaseKeys } from '../formats/index.ts';
import { hashSeed } from '../random/index.ts';
import type { LoopInput } from './loop.ts';
import { totalVariance } from './metrics.ts';
import { sampleRows } from './random-chunks.ts';
import { prepareRows_, rowLayout, sidesOf } from './row-layout.ts';

/** Rows of its own training on which a finished dictionary is measured. */
const SAMPLE_ROWS = 8192;

/** The same dictionary, with its figures in the metadata: `l0` and `explained_variance`, with which a check compares. */
export async function withFinalFigures(dictionary: Dictionary, input: LoopInput): Promise<Dictionary> {
  const { config, weights } = dictionary;
  const figures = await finalFigures(dictionary, input);
  return { config: { ...config, metadata: { ...config.metadata, ...snakeCaseKeys(figures) } }, weights };
}

/**
 * L0 and explained variance, 1 − Σ‖x − x̂‖² / Σ‖x − mean(x)‖², of a dictionary as it is used: with averaged weights, with
 * thresholds in place of a batch's k, on activations as they come. The metrics of the last step are none of these.
 */
async function finalFigures(
  dictionary: Dictionary,
  { source, backend, options }: LoopInput,
): Promise<{ l0: number; explainedVariance: number }> {
  const { dIn } = dictionary.config;
  const dOut = dictionary.weights.b_dec.length;
  const layout = rowLayout(source, architectureNamed(options.architecture));
  const rows = await sampleRows(source, SAMPLE_ROWS, hashSeed(options.seed, 'final figures'));
  const { x, target } = sidesOf(prepareRows_(rows, layout), layout);
  const nRows = target.length / dOut;
  let nActive = 0;
  let squaredError = 0;
  for (let first = 0; first < nRows; first += options.batchRows) {
    const end = Math.min(first + options.batchRows, nRows);
    const read = x.subarray(first * dIn, end * dIn);
    const codes = await encode(dictionary, backend, read, end - first);
    const reconstructions = await decode(dictionary, backend, codes, read);
    nActive += codes.values.length;
    reconstructions.forEach((value, i) => (squaredError += (target[first * dOut + i] - value) ** 2));
  }
  return { l0: nActive / nRows, explainedVariance: 1 - squaredError / totalVariance(target, dOut) };
}
