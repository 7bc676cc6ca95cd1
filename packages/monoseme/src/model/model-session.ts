import { tokenPieces, type TokenSequence } from '../corpus/index.ts';
import { MonosemeError } from '../errors.ts';
import { expectLength, expectPositiveInteger } from '../tensor/index.ts';
import { ACTIVATIONS, castName, type GraphPart } from './cut.ts';
import { fixedSizes } from './model-inputs.ts';
import type { HookPoint, OnnxModel } from './onnx-model.ts';
import type { WorkerClient } from './worker-client.ts';
import type { Device, SessionName } from './worker-messages.ts';

/** Have the worker make a session of a part of a model. */
export async function loadPart(
  worker: WorkerClient,
  model: OnnxModel,
  as: SessionName,
  { bytes, modelInputs, reads, gives, edits }: GraphPart,
  threads: number,
  { device = model.device, profile }: { device?: Device; profile?: string } = {},
): Promise<void> {
  const inputs = model.inputs.filter(({ name }) => modelInputs.includes(name));
  const shapes = new Map(reads.map((tensor) => [tensor, model.tensors.get(tensor)!.shape]));
  const session = {
    bytes,
    folder: model.dataFolder,
    device,
    profile,
    // A device may round to half precision in its own way, or not have it.
    cpuNodes: [...model.cpuNodes, castName(ACTIVATIONS)],
    threads,
    inputs,
    reads: shapes,
    gives,
    edits,
    optimize: true,
  };
  await worker.ask('load', { as, session }, [bytes.buffer]);
}

/** A hook as it was asked for, with the name that people know it by: TransformerLens's where it has one. */
export function namedHook(model: OnnxModel, hook: string): { point: HookPoint; hookName: string } {
  const point = model.resolveHook(hook);
  return { point, hookName: point.aliases.includes(hook) ? hook : (point.aliases[0] ?? point.name) };
}

/** Where a model runs, as part of what is computed: another device than the CPU gives other last bits. */
export const deviceText = ({ device }: OnnxModel): string => (device === 'cpu' ? '' : `, on ${device}`);

/** A runner whose first session is loaded; its worker is ended where that fails. */
export async function withFirstSession<T extends { close(): Promise<void> }>(
  runner: T,
  load: () => Promise<void>,
): Promise<T> {
  try {
    await load();
    return runner;
  } catch (error) {
    await runner.close();
    throw error;
  }
}

/**
 * Refuse tokens that do not fit a model before it runs.
 *
 * @param nBefore tokens of each context that were read before
 * @throws {MonosemeError} ERR_MODEL (the model reads arrays), ERR_SHAPE (no whole contexts), ERR_OPTION (context longer
 * than the model's), ERR_TOKENIZER (id too large)
 */
export function expectTokens(
  model: OnnxModel,
  tokens: TokenSequence,
  contextSize: number,
  nBefore = 0,
): void {
  model.expectReadsTokens();
  expectPositiveInteger('The context size', contextSize);
  const nContexts = Math.floor(tokens.length / contextSize);
  expectLength('The tokens', tokens, nContexts, contextSize);
  const longest = model.contextSize ?? Infinity;
  const { sequence } = fixedSizes(model.inputs);
  if (nBefore + contextSize > longest || contextSize !== (sequence ?? contextSize))
    throw new MonosemeError(
      'ERR_OPTION',
      `The context size is ${nBefore + contextSize}, but the model takes ${sequence ?? `at most ${longest}`}.`,
      'Choose another context size.',
    );
  const rows = model.embeddingRows ?? Infinity;
  let before = 0;
  for (const ids of tokenPieces(tokens)) {
    for (let i = 0; i < ids.length; i++) {
      if (ids[i] >= rows)
        throw new MonosemeError(
          'ERR_TOKENIZER',
          `Token ${before + i} has the id ${ids[i]}, but the model embeds only ${rows} tokens.`,
          'Use the tokenizer.json that belongs to the model.',
        );
    }
    before += ids.length;
  }
}

export const noLogits = (): MonosemeError =>
  new MonosemeError(
    'ERR_MODEL',
    'The model has no next-token logits ([batch, sequence, vocab]).',
    'Only its activations can be harvested.',
  );
