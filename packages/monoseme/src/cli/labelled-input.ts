import type { Command } from 'commander';
import {
  type BenchmarkSubject,
  classesOf,
  limitedTexts,
  type LabelledText,
  meanExamples,
  type ProbeExamples,
  readLabelledText,
  type Split,
  splitExamples,
  textTokens,
} from '../benchmark/index.ts';
import type { OnnxModel } from '../model/index.ts';
import { type CommandContext, withStage } from './context.ts';
import { openTokenizer } from './model-option.ts';
import { wholeOption } from './options.ts';

export interface LabelFlags {
  readonly labels?: string;
  readonly textField: string;
  readonly labelField: string;
  readonly spuriousField?: string;
  readonly perClass: number;
  readonly textTokens: number;
}

export function addLabelFlags(command: Command): Command {
  return command
    .option('--labels <file>', 'labelled text, .jsonl or .csv, for sparse-probing, tpp and scr')
    .option('--text-field <name>', 'its field or column with the text', 'text')
    .option('--label-field <name>', 'the one with the label', 'label')
    .option('--spurious-field <name>', 'the one with a second label of two values, for scr')
    .option('--per-class <n>', 'texts of a class, at most, to fit a probe', wholeOption, 2000)
    .option('--text-tokens <n>', 'tokens of a text that are read, at most', wholeOption, 128);
}

/** Labelled texts with their mean activations and latents. */
export interface Labelled {
  readonly texts: readonly LabelledText[];
  readonly examples: ProbeExamples;
  readonly split: Split<readonly number[]>;
  readonly perClass: number;
  /** @throws {MonosemeError} ERR_LABELS */
  readonly classes: () => Map<string, Split<number[]>>;
}

/** Read labelled text and run it through model and dictionary, once for all measures. Texts without a token are left out. */
export async function labelledExamples(
  context: CommandContext,
  flags: LabelFlags & { readonly tokenizer?: string; readonly seed: number },
  subject: BenchmarkSubject,
  model: OnnxModel,
): Promise<Labelled> {
  const { labelField, spuriousField, textField, perClass, seed } = flags;
  const tokenizer = await openTokenizer(model, flags.tokenizer);
  model.expectVocabulary(tokenizer.vocabSize);
  const skip = tokenizer.separatorId === undefined ? 0 : 1;
  const maxTokens = Math.min(flags.textTokens, model.contextSize ?? Infinity);
  const labelFields = [labelField, ...(spuriousField === undefined ? [] : [spuriousField])];
  const read = readLabelledText(flags.labels!, { textField, labelFields });
  const tokensOf = ({ text }: LabelledText) => textTokens(tokenizer, text, maxTokens);
  const texts = limitedTexts(read, perClass, seed).filter((text) => tokensOf(text).length > skip);
  const split = splitExamples(texts, seed);
  const classes = () => classesOf(texts, 0, split);
  // Before the model runs: labels that cannot be learned are said at once.
  classes();
  const examples = await withStage(context, 'texts', 'texts', async (stage) => {
    const onProgress = (done: number, total: number) => stage.update(done, total);
    return [
      await meanExamples({ ...subject, onProgress }, texts.map(tokensOf), skip),
      `${texts.length} labelled texts`,
    ];
  });
  return { texts, examples, split, perClass, classes };
}
