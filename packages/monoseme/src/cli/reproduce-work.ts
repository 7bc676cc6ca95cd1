import { join } from 'node:path';
import { type ActivationSource, modelSource } from '../activations/index.ts';
import type { Analysis, CodedText, Pass } from '../analysis/index.ts';
import type { TokenSet, Tokenizer } from '../corpus/index.ts';
import { loadDictionary } from '../dictionary/index.ts';
import type { KernelBackend } from '../kernels/index.ts';
import { ModelRunner, type OnnxModel } from '../model/index.ts';
import type { ReportSection } from '../report/index.ts';
import { type Ladder, type Rung, type StepResult, Steps } from '../reproduce/index.ts';
import { resolveOptions } from '../training/index.ts';
import { type CommandContext, withStage } from './context.ts';
import { dictionaryHash, tokensHash } from './dictionary-option.ts';
import { DEFAULT_HOOK, openModel } from './model-option.ts';
import { readTokens } from './text.ts';
import { trainWithProgress } from './train.ts';

/** Of the figures that analyses keep: another one makes them again. */
const FINDINGS_FORM = 3;

interface WorkInput {
  readonly context: CommandContext;
  readonly ladder: Ladder;
  readonly out: string;
  readonly backend: KernelBackend;
  /** Name or path of each model. */
  readonly models: Readonly<Record<Rung['model'], string>>;
  readonly threads: number | undefined;
}

/** Text as the models read it. */
interface Text {
  readonly tokens: TokenSet;
  readonly tokenizer: Tokenizer;
  readonly hash: string;
}

/** A pass whose progress may be of another number of tokens than the analyses have. */
export interface StepPass extends Omit<Pass, 'onProgress'> {
  readonly onProgress: (done: number, total?: number) => void;
}

/** What the steps share: models and texts, opened when the first step needs them. */
export class ReproduceWork {
  readonly context: CommandContext;
  readonly ladder: Ladder;
  readonly out: string;
  readonly backend: KernelBackend;
  readonly models: WorkInput['models'];
  readonly #threads: number | undefined;
  readonly #steps: Steps;
  readonly #opened = new Map<string, Promise<OnnxModel>>();
  readonly #runners = new Map<string, Promise<ModelRunner>>();
  readonly #texts = new Map<string, Promise<Text>>();

  constructor({ context, ladder, out, backend, models, threads }: WorkInput) {
    this.context = context;
    this.ladder = ladder;
    this.out = out;
    this.backend = backend;
    this.models = models;
    this.#threads = threads;
    this.#steps = new Steps(join(out, 'steps'));
  }

  folder({ name }: Rung): string {
    return join(this.out, name);
  }

  model(name: Rung['model']): Promise<OnnxModel> {
    return once(this.#opened, name, () => openModel(this.context, this.models[name]));
  }

  runner(name: Rung['model']): Promise<ModelRunner> {
    return once(this.#runners, name, async () =>
      ModelRunner.start(await this.model(name), { hook: DEFAULT_HOOK, threads: this.#threads, suffix: true }),
    );
  }

  /** Tokens of the built-in text; the models share a tokenizer. */
  text(maxTokens: number, split: 'train' | 'heldOut' | 'all', seed = 0): Promise<Text> {
    return once(this.#texts, `${maxTokens} ${split} ${seed}`, async () => {
      const model = await this.model('a');
      const { tokens, tokenizer } = await readTokens(this.context, model, {}, { maxTokens, seed, split });
      tokenizer.forgetWords();
      return { tokens, tokenizer, hash: tokensHash(tokens) };
    });
  }

  async source(name: Rung['model'], { tokens }: Text): Promise<ActivationSource> {
    return modelSource(await this.runner(name), tokens);
  }

  /** The dictionaries of rungs over the held-out text of the analyses, or over some of it. */
  async coded(
    rungs: readonly Rung[],
    nTokens = this.ladder.analysisTokens,
  ): Promise<{ texts: CodedText[]; text: Text }> {
    const text = await this.text(nTokens, 'heldOut');
    const sources = new Map<string, ActivationSource>();
    const texts: CodedText[] = [];
    for (const rung of rungs) {
      if (!sources.has(rung.model)) sources.set(rung.model, await this.source(rung.model, text));
      const dictionary = await loadDictionary(this.folder(rung));
      texts.push({ dictionary, source: sources.get(rung.model)! });
    }
    return { texts, text };
  }

  /** Run a step unless it is done: on the same dictionaries, models and settings. */
  async step<F>(
    name: string,
    rungs: readonly Rung[],
    settings: Readonly<Record<string, unknown>>,
    work: (pass: StepPass) => Promise<Omit<StepResult<F>, 'madeFrom'> & { text: Text | undefined }>,
  ): Promise<StepResult<F>> {
    const madeFrom: Record<string, string> = {};
    for (const rung of rungs) {
      madeFrom[`model ${rung.model}`] = (await this.model(rung.model)).sha256;
      madeFrom[rung.name] = await dictionaryHash(this.folder(rung));
    }
    return withStage(this.context, name, 'tokens', async (stage) => {
      const size = this.ladder.analysisTokens;
      const result = await this.#steps.run(name, { madeFrom, ...settings }, async () => {
        const { text, ...found } = await work({
          backend: this.backend,
          signal: this.context.signal,
          onProgress: (done, total = size) => stage.update(done, total),
        });
        return { ...found, madeFrom: { ...madeFrom, ...(text && { tokens: text.hash }) } };
      });
      return [
        result,
        result.wasDone ? 'unchanged' : rungs.map((rung) => rung.name).join(', ') || 'synthetic data',
      ];
    });
  }

  /** What an analysis depends on beside its dictionaries. */
  get analysisSettings(): { analysisTokens: number; form: number } {
    return { analysisTokens: this.ladder.analysisTokens, form: FINDINGS_FORM };
  }

  /** An analysis as sections of the report, with what it is of. */
  titled(subject: string, { title, summary, sections }: Analysis): ReportSection[] {
    return sections.map((section, i) => ({
      ...section,
      title: `${title}, ${subject}${i === 0 ? '' : `: ${section.title}`}`,
      text: [...(i === 0 ? [summary] : []), ...(section.text ?? [])],
    }));
  }

  /** The arguments of a command that reads the text of the analyses. */
  get analysisArguments(): string {
    return `--tokens ${this.ladder.analysisTokens}`;
  }

  async close(): Promise<void> {
    for (const runner of this.#runners.values()) await (await runner).close();
  }

  /** Train the dictionary of a rung unless it is there. */
  async train(rung: Rung): Promise<void> {
    const { trainTokens, batchRows } = this.ladder;
    const { dSae, seed, model, learningRate, resampleAt } = rung;
    const given = { dSae, seed, learningRate, resampleAt, tokens: trainTokens, batchRows };
    const options = resolveOptions(given, undefined);
    const { sha256 } = await this.model(model);
    await this.#steps.run(`train-${rung.name}`, { ...given, sha256 }, async () => {
      const text = await this.text(trainTokens, 'train', seed);
      await trainWithProgress(this.context, {
        ...{ source: await this.source(model, text), backend: this.backend, options },
        ...{ out: this.folder(rung), hookName: DEFAULT_HOOK, modelName: this.models[model] },
        ...{ resume: true, replace: true },
      });
      const command =
        `monoseme train --model ${this.models[model]} --d-sae ${dSae} --seed ${seed} --tokens ${trainTokens} ` +
        `--batch-rows ${batchRows} --learning-rate ${learningRate} --resample-at ${resampleAt.join(',')} --out ${this.folder(rung)}`;
      return {
        figures: { weights: await dictionaryHash(this.folder(rung)) },
        ...{ sections: [], command, madeFrom: { model: sha256, tokens: text.hash } },
      };
    });
  }
}

function once<T>(known: Map<string, Promise<T>>, key: string, make: () => Promise<T>): Promise<T> {
  let value = known.get(key);
  if (value === undefined) known.set(key, (value = make()));
  return value;
}
