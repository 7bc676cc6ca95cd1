import type { Command } from 'commander';
import { arraySource } from '../activations/index.ts';
import { MonosemeError } from '../errors.ts';
import { ArrayRunner, type InputArrays, type OnnxModel } from '../model/index.ts';
import { inputFiles, type InputFlags } from './model-option.ts';
import { wholeNumberOption, wholeOption } from './options.ts';

export interface ArrayFlags extends InputFlags {
  readonly sampleAxes?: string[];
  readonly featureAxis?: number;
  readonly samples?: number;
}

/** Options of models that read arrays. */
export function addArrayFlags(command: Command): Command {
  return command
    .option(
      '--sample-axes <names>',
      'of a model that reads arrays: names of all axes of the tensor but that of the features, as in batch,channel,patch',
      (text: string) => text.split(','),
    )
    .option('--feature-axis <n>', 'its axis of features; -1 is the last', wholeNumberOption)
    .option('--samples <n>', 'samples to read of its inputs, at most (default: all)', wholeOption);
}

/**
 * A model that reads arrays, on those of `--input`, cut at a hook.
 *
 * @throws {MonosemeError} ERR_USAGE without files; as {@link ArrayRunner.start}
 */
export async function openArraySource(
  model: OnnxModel,
  hook: string,
  flags: ArrayFlags & { readonly threads?: number },
  options: { forF16?: boolean } = {},
) {
  const { sampleAxes, featureAxis, samples, threads } = flags;
  const runner = await ArrayRunner.start(model, { hook, sampleAxes, featureAxis, threads });
  let inputs: InputArrays | undefined;
  try {
    inputs = await inputFiles(flags);
    const missing = model.inputs.find(({ role, name }) => role === 'samples' && !inputs?.given[name]);
    if (!inputs || missing)
      throw new MonosemeError(
        'ERR_USAGE',
        `The model reads "${missing?.name}" [samples, ${missing?.sizes.join(', ')}].`,
        `Give it as a file: --input ${missing?.name}=FILE.`,
      );
    const opened = inputs;
    const close = async () => {
      await opened.close();
      await runner.close();
    };
    return { source: arraySource(runner, inputs, { maxSamples: samples, ...options }), close };
  } catch (error) {
    await inputs?.close();
    await runner.close();
    throw error;
  }
}
