import { checkEncode } from '../check.ts';
import type { Codes, EncodeInput } from '../contract.ts';

interface Pair {
  row: number;
  latent: number;
  value: number;
}

/** Larger values first; ties by lower row, then by lower latent. */
function better(a: Pair, b: Pair): number {
  return b.value - a.value || a.row - b.row || a.latent - b.latent;
}

function preAct(input: EncodeInput, row: number, latent: number): number {
  const { x, W_enc, b_enc, dIn } = input;
  let sum = b_enc[latent];
  for (let i = 0; i < dIn; i++) sum += x[row * dIn + i] * W_enc[latent * dIn + i];
  return Math.fround(sum);
}

function aboveThreshold(input: EncodeInput, row: number): Pair[] {
  const { selection, latents } = input;
  const thresholds = selection.kind === 'threshold' ? selection.thresholds : undefined;
  const pairs: Pair[] = [];
  for (let i = 0; i < (latents ? latents.length : input.dSae); i++) {
    const latent = latents ? latents[i] : i;
    const value = preAct(input, row, latent);
    if (value > (thresholds ? thresholds[latent] : 0)) pairs.push({ row, latent, value });
  }
  return pairs;
}

function toCodes(input: EncodeInput, pairs: Pair[]): Codes {
  pairs.sort((a, b) => a.row - b.row || a.latent - b.latent);
  const rowPointers = new Uint32Array(input.nRows + 1);
  for (const { row } of pairs) rowPointers[row + 1]++;
  for (let row = 0; row < input.nRows; row++) rowPointers[row + 1] += rowPointers[row];
  return {
    nRows: input.nRows,
    dSae: input.dSae,
    rowPointers,
    latentIndices: Uint32Array.from(pairs, (pair) => pair.latent),
    values: Float32Array.from(pairs, (pair) => pair.value),
  };
}

/** See `KernelBackend.encode`. Pre-activations are summed in f64 and rounded to f32 before they are compared. */
export function encode(input: EncodeInput): Codes {
  checkEncode(input);
  const { selection } = input;
  const kept: Pair[] = [];
  for (let row = 0; row < input.nRows; row++) {
    let pairs = aboveThreshold(input, row);
    if (selection.kind === 'topK') pairs = pairs.sort(better).slice(0, selection.k);
    for (const pair of pairs) kept.push(pair);
  }
  if (selection.kind !== 'batchTopK') return toCodes(input, kept);
  return toCodes(input, kept.sort(better).slice(0, selection.k * input.nRows));
}
