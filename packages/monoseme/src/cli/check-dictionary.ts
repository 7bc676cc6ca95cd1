import type { Command } from 'commander';
import { type ActivationSource, modelSource, readLeftOut } from '../activations/index.ts';
import type { TokenText } from '../corpus/index.ts';
import { claimsOf, decode, type Dictionary, doubtsOf, encode } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { ReconstructionSums } from '../evaluation/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import type { ModelRunner } from '../model/index.ts';
import { percentText } from '../report/index.ts';
import { type CommandContext, withStage } from './context.ts';

/** Tokens of the sample. */
const SAMPLE_TOKENS = 8192;

/** The sample is spread evenly over as much text: neighbours are of one document, which says little of the others. */
export const CHECK_TOKENS = 16 * SAMPLE_TOKENS;

/** Contexts that the sample takes from one place. */
const CONTEXTS_TOGETHER = 2;

export interface CheckFlags {
  readonly check?: boolean;
}

export function addCheckFlag(command: Command): Command {
  return command.option(
    '--check',
    'run sample activations through the dictionary and warn where it is not what its files say',
  );
}

/** L0 and explained variance on a sample, and what looks wrong about them: also printed as warnings. */
export interface CheckResult {
  readonly l0: number;
  readonly explainedVariance: number;
  readonly doubts: readonly string[];
}

/**
 * Run sample activations through a dictionary and warn where its figures are far from what its files say.
 *
 * @throws {MonosemeError} ERR_OPTION for transcoders and crosscoders, ERR_MISMATCH when the widths differ
 */
export async function checkDictionary(
  context: CommandContext,
  input: {
    readonly dictionary: Dictionary;
    readonly path: string;
    readonly backend: KernelBackend;
    readonly runner: ModelRunner;
    readonly tokens: TokenText;
  },
): Promise<CheckResult> {
  const { dictionary, backend, path } = input;
  expectAutoencoder(dictionary, input.runner);
  const source = modelSource(input.runner, input.tokens, {
    contextsPerChunk: CONTEXTS_TOGETHER,
    // As the claims are of what it was trained on.
    rows: readLeftOut(dictionary.config.metadata['left_out']),
  });
  const figures = await withStage(context, 'check', 'tokens', async (stage) => {
    const sums = await sample(source, dictionary, backend, context.signal, (done) =>
      stage.update(done, SAMPLE_TOKENS),
    );
    const { l0, explainedVariance } = sums.figures();
    const summary = `L0 ${l0.toFixed(1)}, explained variance ${percentText(explainedVariance)}`;
    return [{ l0, explainedVariance }, `${summary} on ${sums.nTokens} tokens`];
  });
  const doubts = doubtsOf(dictionary, await claimsOf(path, dictionary), figures);
  for (const doubt of doubts)
    context.progress.write(
      `warning: ${doubt} Check the model, the hook and the format that ${path} was made for.\n`,
    );
  return { ...figures, doubts };
}

async function sample(
  source: ActivationSource,
  dictionary: Dictionary,
  backend: KernelBackend,
  signal: AbortSignal,
  onProgress: (doneTokens: number) => void,
): Promise<ReconstructionSums> {
  const sums = new ReconstructionSums(dictionary.config.dIn, dictionary.config.dSae);
  const { nChunks, contextSize } = source;
  const nRead = Math.min(nChunks, Math.ceil(SAMPLE_TOKENS / (CONTEXTS_TOGETHER * contextSize)));
  for (let i = 0; i < nRead; i++) {
    const chunk = Math.floor((i * nChunks) / nRead);
    const x = await source.readChunk(chunk, signal);
    const codes = await encode(dictionary, backend, x, x.length / dictionary.config.dIn);
    sums.add(x, await decode(dictionary, backend, codes, x), codes);
    onProgress(sums.nTokens);
  }
  return sums;
}

function expectAutoencoder({ config }: Dictionary, { dIn, hookName }: ModelRunner): void {
  if (config.targetHookName !== undefined || config.sources)
    throw new MonosemeError(
      'ERR_OPTION',
      'The dictionary is a transcoder or crosscoder, which --check does not run.',
      'Leave out --check.',
    );
  if (config.dIn !== dIn)
    throw new MonosemeError(
      'ERR_MISMATCH',
      `The dictionary reads ${config.dIn} inputs, but ${hookName} is ${dIn} wide.`,
      'Name the tensor it was trained on with --hook.',
    );
}
