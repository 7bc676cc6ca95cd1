import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Tokenizer } from '../corpus/index.ts';
import { type Command, Option } from 'commander';
import { MonosemeError } from '../errors.ts';
import { type HubOptions, isHubPath } from '../hub/index.ts';
import {
  compareWithCpu,
  type Device,
  DEVICES,
  InputArrays,
  type ModelRunner,
  OnnxModel,
} from '../model/index.ts';
import type { CommandContext } from './context.ts';
import { repeatable, wholeOption } from './options.ts';
import { Stage } from './progress.ts';

/** The models that come with the toolkit: in the package, or at the root of a checkout. */
const EMBEDDED_ROOTS = ['../../models', '../../../../models'].map((path) =>
  fileURLToPath(new URL(path, import.meta.url)),
);

export const DEFAULT_MODEL = 'one-layer-a';
export const DEFAULT_HOOK = 'blocks.0.mlp.hook_post';
export const MODEL_HELP =
  'an .onnx file, a folder with model.onnx and tokenizer.json, hf:owner/repo, or one-layer-a, one-layer-b';

/**
 * Path of a model given by its path, or by the name of an embedded one. A model that lies there goes first, another file or
 * folder of that name does not.
 */
export function modelPath(nameOrPath: string): string {
  if (!/^[\w-]+$/.test(nameOrPath) || holdsModel(nameOrPath)) return nameOrPath;
  return EMBEDDED_ROOTS.map((root) => join(root, nameOrPath)).find(existsSync) ?? nameOrPath;
}

const holdsModel = (folder: string): boolean =>
  ['model.onnx', 'onnx'].some((name) => existsSync(join(folder, name)));

export interface InputFlags {
  readonly input?: string[];
  readonly device?: Device;
}

export function addInputFlag(command: Command): Command {
  return command
    .option(
      '--input <name=value>',
      'an input of the model: a .npy, .npz or safetensors file with an array [samples, …], or a number for everywhere; may be repeated',
      repeatable,
    )
    .addOption(new Option('--device <name>', 'where the model runs (default: cpu)').choices(DEVICES));
}

/** @throws {MonosemeError} ERR_USAGE (an input that is not NAME=VALUE), as {@link OnnxModel.open} and {@link InputArrays.open} */
export async function openModel(
  context: CommandContext,
  nameOrPath: string,
  flags: InputFlags = {},
): Promise<OnnxModel> {
  const arrays = await inputFiles(flags);
  await arrays?.close();
  const numbers = givenInputs(flags).filter(([, value]) => isNumber(value));
  const constants = Object.fromEntries(numbers.map(([name, value]) => [name, Number(value)]));
  const inputs = { ...constants, ...arrays?.given };
  const { device } = flags;
  const model = await withDownload(context, nameOrPath, (hub) =>
    OnnxModel.open(modelPath(nameOrPath), { inputs, hub, device }),
  );
  if (device !== undefined) context.progress.write(`device     ${await deviceReport(model)}\n`);
  return model;
}

/** Where a model runs, and beside another device than the CPU what was measured on a short text or a sample. */
async function deviceReport(model: OnnxModel): Promise<string> {
  const { name, device } = model;
  if (device === 'cpu') return `${name} runs on cpu`;
  const { nOnDevice, onCpu, difference } = await compareWithCpu(model);
  if (nOnDevice === 0) return `${name} runs on cpu: ${device} computes none of its ${onCpu.length} nodes`;
  const operators = [...new Set(onCpu)];
  const shown = [...operators.slice(0, 5), ...(operators.length > 5 ? ['…'] : [])].join(', ');
  const left = onCpu.length === 0 ? '' : `, and ${onCpu.length} on the CPU (${shown})`;
  const close = `its outputs are within ${Number(difference.toPrecision(2))} of those on cpu`;
  return `${name} runs on ${device}: ${nOnDevice} nodes${left}; ${close}`;
}

/** Open what may have to be downloaded from the hub first, with its progress. */
export async function withDownload<T>(
  { signal, progress }: CommandContext,
  path: string,
  open: (hub: HubOptions) => Promise<T>,
): Promise<T> {
  if (!isHubPath(path)) return open({ signal });
  const stage = new Stage(progress, 'download', 'B');
  try {
    return await open({ signal, onProgress: (done, total, name) => stage.update(done, total, name) });
  } finally {
    stage.abandon();
  }
}

/** The files that were given as inputs; undefined where there are none. @throws as {@link openModel} */
export async function inputFiles(flags: InputFlags): Promise<InputArrays | undefined> {
  const files = givenInputs(flags).filter(([, value]) => !isNumber(value));
  return files.length > 0 ? InputArrays.open(Object.fromEntries(files)) : undefined;
}

function givenInputs({ input = [] }: InputFlags): [string, string][] {
  return input.map((text) => {
    const at = text.indexOf('=');
    if (at > 0 && at < text.length - 1) return [text.slice(0, at), text.slice(at + 1)];
    throw new MonosemeError(
      'ERR_USAGE',
      `--input ${text} is not NAME=VALUE.`,
      'Write --input pixel_values=images.npy, or --input name=1.',
    );
  });
}

const isNumber = (text: string): boolean => text.trim() !== '' && Number.isFinite(Number(text));

export interface BatchFlags {
  readonly modelBatch?: number | 'auto';
}

export function addBatchFlag(command: Command): Command {
  return command.option(
    '--model-batch <tokens>',
    'tokens that the model reads at once, or auto: the fastest, by measuring (default: 1024)',
    (text: string) => (text === 'auto' ? text : wholeOption(text)),
  );
}

/** Let a runner read as many tokens at once as was asked for, and say what was measured. */
export async function setBatch(
  context: CommandContext,
  runner: ModelRunner,
  contextSize: number,
  { modelBatch }: BatchFlags,
): Promise<void> {
  if (modelBatch === undefined) return;
  await runner.tuneBatch(contextSize, modelBatch);
  if (modelBatch === 'auto')
    context.progress.write(`batch      ${runner.tokensPerRun} tokens at once are fastest\n`);
}

/** The tokenizer in the model's folder, or the one named. */
export async function openTokenizer(model: OnnxModel, path: string | undefined): Promise<Tokenizer> {
  const found = path ?? model.tokenizerPath;
  if (found === undefined)
    throw new MonosemeError(
      'ERR_TOKENIZER',
      `There is no tokenizer.json beside ${model.path}.`,
      'Name one with --tokenizer FILE.',
    );
  return Tokenizer.open(found);
}
