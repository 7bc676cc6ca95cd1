import type { Interval } from '../evaluation/index.ts';
import type { Codes } from '../kernels/contract.ts';
import { type CodedText, codedChunks, codesOfDense, expectAutoencoder, type Pass } from './coded-text.ts';
import { PairSummer } from './pair-summer.ts';
import { medianInterval, medianOf, MIN_FIRED } from './universality.ts';

/** Decoder coefficients at least this large count (Bricken et al. 2023: 27 of the Arabic feature's). */
const LARGE = 0.1;
/** Neurons that are listed. */
const LISTED = 3;
/** Tokens of a scatter plot, about. */
const SCATTER = 1500;

/** How one latent stands to the neurons. */
export interface NeuronLikeness {
  readonly latent: number;
  readonly nFired: number;
  /** The neuron whose activation correlates most; undefined for a latent that fires on fewer than 20 tokens. */
  readonly neuron: number | undefined;
  readonly correlation: number | undefined;
  /** Of the unit decoder direction: the largest coefficients by size, with their neurons. */
  readonly coefficients: readonly { readonly neuron: number; readonly coefficient: number }[];
  /** Coefficients of size 0.1 or more. */
  readonly nLarge: number;
  /** 1 / Σ w⁴ of the unit direction: 1 for a neuron, dIn for all alike. */
  readonly participation: number;
}

export interface NotNeurons {
  readonly nTokens: number;
  readonly latents: readonly NeuronLikeness[];
  /** Of the largest correlations. */
  readonly median: number | undefined;
  readonly interval: Interval | undefined;
  /** Of the latents that have one: share with a correlation above 0.5. */
  readonly fracAlike: number | undefined;
  readonly medianParticipation: number | undefined;
}

/**
 * Whether latents are neurons: the most correlated neuron of each, and its decoder direction in the basis of the neurons.
 *
 * Only positive activations take part, as in the paper; correlations are over all tokens.
 *
 * @throws {MonosemeError} ERR_OPTION for transcoders and crosscoders; ERR_MISMATCH, ERR_INTERRUPTED
 */
export async function notNeurons(text: CodedText, pass: Pass): Promise<NotNeurons> {
  expectAutoencoder(text.dictionary);
  const { dSae, dIn } = text.dictionary.config;
  const summer = new PairSummer(pass.backend, dSae, dIn, { masked: false, counted: false });
  for await (const { codes, activations } of codedChunks([text], pass))
    await summer.add(codes[0], codesOfDense(activations[0], codes[0].nRows, dIn));
  const sums = await summer.finish();
  const best = sums.best(({ correlation }) => correlation);
  const latents = best.map((pair, latent): NeuronLikeness => {
    const nFired = sums.a.fired[latent];
    const known = pair !== undefined && nFired >= MIN_FIRED;
    return {
      ...{ latent, nFired },
      neuron: known ? pair.b : undefined,
      correlation: known ? pair.correlation : undefined,
      ...directionInNeurons(text.dictionary.weights.W_dec.subarray(latent * dIn, (latent + 1) * dIn)),
    };
  });
  const known = latents.flatMap(({ correlation }) => (correlation === undefined ? [] : [correlation]));
  return {
    nTokens: sums.nTokens,
    latents,
    median: medianOf(known),
    interval: medianInterval(known),
    fracAlike: known.length > 0 ? known.filter((r) => r > 0.5).length / known.length : undefined,
    medianParticipation: medianOf(latents.map(({ participation }) => participation)),
  };
}

function directionInNeurons(
  row: Float32Array,
): Pick<NeuronLikeness, 'coefficients' | 'nLarge' | 'participation'> {
  const length = Math.hypot(...row) || 1;
  const unit = Float64Array.from(row, (value) => value / length);
  const fourth = unit.reduce((sum, value) => sum + value ** 4, 0);
  return {
    coefficients: largest(unit),
    nLarge: unit.filter((value) => Math.abs(value) >= LARGE).length,
    participation: fourth > 0 ? 1 / fourth : 0,
  };
}

/** The few largest by size; ties go to the lower neuron. */
function largest(unit: Float64Array): { neuron: number; coefficient: number }[] {
  const found: { neuron: number; coefficient: number }[] = [];
  unit.forEach((coefficient, neuron) => {
    if (found.length === LISTED && Math.abs(coefficient) <= Math.abs(found[LISTED - 1].coefficient)) return;
    const above = found.findIndex((known) => Math.abs(known.coefficient) < Math.abs(coefficient));
    found.splice(above === -1 ? found.length : above, 0, { neuron, coefficient });
    if (found.length > LISTED) found.pop();
  });
  return found;
}

/** Activations of a latent and a neuron at tokens where one of them is active. */
export interface Scatter {
  readonly latent: number;
  readonly neuron: number;
  readonly x: number[];
  readonly y: number[];
}

/** Scatter plots of latents against their neurons: of the tokens where either is active every n-th, to some 1,500. */
export async function neuronScatter(
  text: CodedText,
  pairs: readonly { readonly latent: number; readonly neuron: number }[],
  pass: Pass,
): Promise<Scatter[]> {
  const found = pairs.map(
    ({ latent, neuron }) => ({ latent, neuron, x: [], y: [], step: 1, seen: 0 }) as Thinned,
  );
  const { dIn } = text.source;
  for await (const { codes, activations } of codedChunks([text], pass)) {
    for (const scatter of found) {
      const x = column(codes[0], scatter.latent);
      x.forEach((value, row) => {
        const cell = Math.max(0, activations[0][row * dIn + scatter.neuron]);
        if (value > 0 || cell > 0) thin(scatter, value, cell);
      });
    }
  }
  return found.map(({ latent, neuron, x, y }) => ({ latent, neuron, x, y }));
}

interface Thinned extends Scatter {
  step: number;
  seen: number;
}

/** Keep every `step`-th point; when there are too many, every second of those kept. */
function thin(scatter: Thinned, x: number, y: number): void {
  if (scatter.seen++ % scatter.step !== 0) return;
  scatter.x.push(x);
  scatter.y.push(y);
  if (scatter.x.length < 2 * SCATTER) return;
  scatter.x.splice(0, Infinity, ...scatter.x.filter((_, i) => i % 2 === 0));
  scatter.y.splice(0, Infinity, ...scatter.y.filter((_, i) => i % 2 === 0));
  scatter.step *= 2;
}

function column({ nRows, rowPointers, latentIndices, values }: Codes, j: number): Float32Array {
  const dense = new Float32Array(nRows);
  for (let row = 0; row < nRows; row++)
    for (let i = rowPointers[row]; i < rowPointers[row + 1]; i++)
      if (latentIndices[i] === j) dense[row] = values[i];
  return dense;
}
