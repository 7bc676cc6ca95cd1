import { join } from 'node:path';
import { ActivationStore, alignedSource } from '../activations/index.ts';
import type { Tokenizer, TokenSet } from '../corpus/index.ts';
import type { CrosscoderSource } from '../dictionary/index.ts';
import { evaluateRows } from '../evaluation/index.ts';
import { MonosemeError } from '../errors.ts';
import { ModelRunner, type OnnxModel } from '../model/index.ts';
import { withStage } from './context.ts';
import { dictionaryHash, subjectText, tokensHash } from './dictionary-option.ts';
import { evaluateWithProgress, type EvaluateWork, type Found, rowsLeftOut, writeFound } from './evaluate.ts';
import { openModel, setBatch } from './model-option.ts';
import { readTokens } from './text.ts';

/**
 * Measure every source of a crosscoder by itself: how well its activations are reconstructed from the latents of all, and,
 * with its model, what that loses, where the model's other tensors stay as they are. A report a source, in folders `source-1`, …
 *
 * @returns what `--json` says of each
 * @throws {MonosemeError} ERR_USAGE, ERR_OPTION, ERR_MISMATCH (a model that has changed, tokens that differ between models,
 * stores of other hook points); the errors of models, texts and stores
 */
export async function evaluateCrosscoder(work: EvaluateWork): Promise<Record<string, unknown>[]> {
  const { flags } = work;
  const sources = work.dictionary.config.sources!;
  if (flags.hook !== undefined || flags.check)
    throw new MonosemeError(
      'ERR_USAGE',
      `The dictionary is a crosscoder: it says itself which tensors it reads, and --check does not run it.`,
      'Leave --hook and --check out.',
    );
  return flags.store === undefined ? onModels(work, sources) : onStores(work, sources, flags.store);
}

async function onModels(
  work: EvaluateWork,
  sources: readonly CrosscoderSource[],
): Promise<Record<string, unknown>[]> {
  const { context, flags, folder, out, dictionary, backend } = work;
  const models = await modelsOf(work, sources);
  const { tokens, tokenizer } = await sameTokens(work, [...new Set(models)]);
  const leftOut = rowsLeftOut(dictionary, tokenizer, flags);
  const { downstreamTokens, seed, split = 'heldOut' } = flags;
  const runners: ModelRunner[] = [];
  try {
    for (const [i, { hookName: hook }] of sources.entries()) {
      const runner = await ModelRunner.start(models[i], { hook, threads: flags.threads, suffix: true });
      runners.push(runner);
      await setBatch(context, runner, tokens.contextSize, flags);
    }
    const found: Record<string, unknown>[] = [];
    for (const [part, runner] of runners.entries()) {
      const madeFrom = {
        dictionary: await dictionaryHash(folder),
        model: models[part].sha256,
        tokens: tokensHash(tokens),
      };
      const settings = [part, backend.description, downstreamTokens, leftOut, madeFrom];
      const report = await evaluateWithProgress(context, {
        ...{ dictionary, backend, runner, tokens, leftOut, seed, downstreamTokens },
        crosscoder: { part, runners },
        progressFile: {
          path: join(out, `evaluation-${part + 1}.unfinished.safetensors`),
          fingerprint: JSON.stringify(settings),
        },
      });
      found.push(await writePart(work, part, [report, { ...how(work, part), madeFrom, split, leftOut }]));
    }
    return found;
  } finally {
    for (const runner of runners) await runner.close();
  }
}

async function onStores(
  work: EvaluateWork,
  sources: readonly CrosscoderSource[],
  folders: readonly string[],
): Promise<Record<string, unknown>[]> {
  const { context, flags, folder, dictionary, backend } = work;
  if (folders.length !== sources.length)
    throw new MonosemeError(
      'ERR_USAGE',
      `The crosscoder reads ${sources.length} hook points, but there are ${folders.length} stores.`,
      `Give --store once for each: ${sources.map(({ hookName }) => hookName).join(', ')}.`,
    );
  const stores = await Promise.all(folders.map((store) => ActivationStore.open(store)));
  sources.forEach((source, i) => {
    const { hookName, modelHash } = stores[i];
    const isOther =
      source.modelHash !== undefined && modelHash !== undefined && modelHash !== source.modelHash;
    if (hookName === source.hookName && !isOther) return;
    throw new MonosemeError(
      'ERR_MISMATCH',
      `${folders[i]} holds ${hookName} of ${stores[i].modelName}, but source ${i + 1} of the crosscoder is ${source.hookName} of ${isOther ? 'another model than that' : source.modelName}.`,
      'Give the stores in the order of the sources.',
    );
  });
  const source = await alignedSource(stores);
  const found: Record<string, unknown>[] = [];
  for (let part = 0; part < sources.length; part++) {
    const report = await withStage(context, 'evaluate', 'rows', async (stage) => {
      const { signal } = context;
      const onProgress = (done: number, total: number) => stage.update(done, total);
      const input = { dictionary, backend, source, part, seed: flags.seed, signal, onProgress };
      return [await evaluateRows(input), `source ${part + 1} of ${sources.length}`];
    });
    const { modelHash: model, hash: activations } = stores[part];
    const madeFrom = {
      dictionary: await dictionaryHash(folder),
      ...(model !== undefined && { model }),
      activations,
    };
    const { leftOut } = source;
    found.push(
      await writePart(work, part, [report, { ...how(work, part), madeFrom, split: 'all', leftOut }]),
    );
  }
  return found;
}

function how(
  { context, flags, dictionary, backend }: EvaluateWork,
  part: number,
): Omit<Found[1], 'split' | 'madeFrom'> {
  const { sources = [] } = dictionary.config;
  const { hookName, modelName } = sources[part];
  return {
    subject: `Source ${part + 1} of ${sources.length} of a crosscoder. ${subjectText(dictionary, hookName, modelName)}`,
    ...{ backend: backend.description, seed: flags.seed, command: context.command },
  };
}

async function writePart(work: EvaluateWork, part: number, found: Found): Promise<Record<string, unknown>> {
  const { hookName, modelName } = work.dictionary.config.sources![part];
  work.context.print(`\nSource ${part + 1}: ${hookName} of ${modelName}`);
  const written = await writeFound(work, join(work.out, `source-${part + 1}`), found);
  return { hook_name: hookName, model_name: modelName, ...written };
}

/** The model of every source, each opened once and compared with the one that the crosscoder was trained on. */
async function modelsOf(
  { context, flags, dictionary }: EvaluateWork,
  sources: readonly CrosscoderSource[],
): Promise<OnnxModel[]> {
  const names = new Set(sources.map(({ modelName }) => modelName));
  if (flags.model !== undefined && names.size > 1)
    throw new MonosemeError(
      'ERR_USAGE',
      `--model ${flags.model} names one model, but the crosscoder reads ${names.size}.`,
      'Leave it out; the paths of the models stand under "sources" in its cfg.json.',
    );
  const opened = new Map<string, OnnxModel>();
  for (const name of names) opened.set(name, await openModel(context, flags.model ?? name, flags));
  return sources.map(({ modelName, modelHash }, i) => {
    const model = opened.get(modelName)!;
    // Files of earlier versions say it of the first source alone.
    const trainedOn = modelHash ?? (i === 0 ? dictionary.config.metadata['model_sha256'] : undefined);
    if (flags.model === undefined && typeof trainedOn === 'string' && trainedOn !== model.sha256)
      throw new MonosemeError(
        'ERR_MISMATCH',
        `${model.path} is not the model that source ${i + 1} of the crosscoder was trained on: its content has changed.`,
        'Put the model back, or measure on stores of its activations (--store).',
      );
    if (model.readsTokens && model.logits) return model;
    throw new MonosemeError(
      'ERR_OPTION',
      `${model.name} gives no next-token logits, by which the sources of a crosscoder are measured.`,
      'Harvest its hook points and measure on them (--store).',
    );
  });
}

/** The text as every model reads it. @throws {MonosemeError} ERR_MISMATCH where they read it differently */
async function sameTokens(
  { context, flags }: EvaluateWork,
  models: readonly OnnxModel[],
): Promise<{ tokens: TokenSet; tokenizer: Tokenizer }> {
  const limits = { maxTokens: flags.tokens, seed: flags.seed };
  const [first, ...others] = models;
  const read = await readTokens(context, first, flags, limits);
  for (const other of others) {
    const { tokens } = await readTokens(context, other, flags, limits);
    if (tokensHash(tokens) === tokensHash(read.tokens)) continue;
    throw new MonosemeError(
      'ERR_MISMATCH',
      `${first.name} and ${other.name} read the text as other tokens.`,
      'Name what both are to use: --tokenizer, --context-size.',
    );
  }
  return read;
}
