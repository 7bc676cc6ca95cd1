import { InvalidArgumentError, Option } from 'commander';
import { writeAnalysis } from '../analysis/index.ts';
import {
  ABLATED_LATENTS,
  benchmarkReport,
  type BenchmarkResults,
  type BenchmarkSubject,
  firstLetterAbsorption,
  minimumDescription,
  type ProbeKind,
  seedStability,
  type SkippedMeasure,
  sparseProbing,
  spuriousCorrelation,
  targetedPerturbation,
} from '../benchmark/index.ts';
import { loadDictionary, localDictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { expectAutoencoder } from '../evaluation/index.ts';
import { sha256File } from '../formats/index.ts';
import { ModelRunner, type OnnxModel } from '../model/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import {
  addDictionaryFlags,
  DICTIONARY_HELP,
  dictionaryHash,
  type DictionaryFlags,
  modelOfDictionary,
  reportFolder,
  subjectText,
  tokensHash,
} from './dictionary-option.ts';
import { addLabelFlags, type LabelFlags, labelledExamples, type Labelled } from './labelled-input.ts';
import type { DeclareCommand } from './main.ts';
import { openTokenizer } from './model-option.ts';
import { numberListOption, wholeOption } from './options.ts';
import { table } from './table.ts';
import { addTextFlags, readTokens, type TextFlags } from './text.ts';

interface Flags extends TextFlags, BackendFlags, DictionaryFlags, LabelFlags {
  readonly measure?: Measure[];
  readonly with?: string;
  readonly probe: ProbeKind;
  readonly k: number[];
  readonly ablate: number[];
  readonly words: number;
  readonly letterExamples: number;
  readonly tokens: number;
  readonly seed: number;
  readonly out?: string;
}

/** What the measures work on. */
interface Run {
  readonly context: CommandContext;
  readonly flags: Flags;
  readonly subject: Omit<BenchmarkSubject, 'onProgress'>;
  readonly model: OnnxModel;
  /** SHA-256 by role; measures add what they read. */
  readonly madeFrom: Record<string, string>;
  /** Read and run through the model once, for all measures that need it. */
  readonly labelled: () => Promise<Labelled>;
}

/** What each measure needs on the command line, and what it does; what is wrong with input is said before long work. */
const MEASURES = {
  stability: {
    needs: ['with'],
    run: async ({ context, flags, subject, madeFrom }: Run) => {
      const path = await localDictionary(flags.with!, { signal: context.signal });
      const other = await loadDictionary(path);
      madeFrom['other_dictionary'] = await dictionaryHash(path);
      const { dictionary, backend, signal } = subject;
      return { stability: await seedStability(dictionary, other, backend, signal) };
    },
  },
  'sparse-probing': {
    needs: ['labels'],
    run: async (run: Run) => {
      const { examples, classes, perClass } = await run.labelled();
      const { probe, k: ks, seed } = run.flags;
      const options = { probe, ks, perClass, seed, signal: run.context.signal };
      return { sparseProbing: await sparseProbing(examples, classes(), options) };
    },
  },
  tpp: {
    needs: ['labels'],
    run: async (run: Run) => {
      const { examples, classes } = await run.labelled();
      const { dictionary } = run.subject;
      return {
        targetedPerturbation: await targetedPerturbation(dictionary, examples, classes(), ablating(run)),
      };
    },
  },
  scr: {
    needs: ['labels', 'spuriousField'],
    run: async (run: Run) => {
      const { examples, texts, split } = await run.labelled();
      const { dictionary } = run.subject;
      return {
        spuriousCorrelation: await spuriousCorrelation(dictionary, examples, texts, split, ablating(run)),
      };
    },
  },
  absorption: {
    needs: [],
    run: async ({ context, flags, subject, model }: Run) => {
      const tokenizer = await openTokenizer(model, flags.tokenizer);
      model.expectVocabulary(tokenizer.vocabSize);
      const options = { words: flags.words, nExamples: flags.letterExamples, seed: flags.seed };
      return withStage(context, 'letters', 'words', async (stage) => {
        const onProgress = (done: number, total: number) => stage.update(done, total);
        const absorption = await firstLetterAbsorption({ ...subject, onProgress }, tokenizer, options);
        return [{ absorption }, `${absorption.nWords} words, ${absorption.letters.length} letters`];
      });
    },
  },
  mdl: {
    needs: [],
    run: async ({ context, flags, subject, model, madeFrom }: Run) => {
      const { tokens } = await readTokens(context, model, flags, {
        maxTokens: flags.tokens,
        seed: flags.seed,
      });
      madeFrom['tokens'] = tokensHash(tokens);
      return withStage(context, 'bits', 'tokens', async (stage) => {
        const onProgress = (done: number, total: number) => stage.update(done, total);
        const descriptionLength = await minimumDescription({ ...subject, onProgress }, tokens);
        return [{ descriptionLength }, `${descriptionLength.nTokens} tokens`];
      });
    },
  },
} as const satisfies Record<
  string,
  { needs: readonly (keyof Flags)[]; run: (run: Run) => Promise<BenchmarkResults> }
>;

type Measure = keyof typeof MEASURES;
const NAMES = Object.keys(MEASURES) as Measure[];
const FLAG_NAMES: Partial<Record<keyof Flags, string>> = {
  ...{ labels: '--labels FILE', spuriousField: '--spurious-field NAME', with: '--with DICTIONARY' },
};

/** `monoseme benchmark`: SAEBench's measures beyond the core, on text and labels of one's own. */
export const benchmarkCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('benchmark')
    .description(
      "Measure a dictionary as SAEBench does beyond its core: on one's own labels, text and seeds.",
    )
    .argument('<dictionary>', DICTIONARY_HELP)
    .option(
      '--measure <list>',
      `of ${NAMES.join(', ')} (default: all that the other options allow)`,
      measureOption,
    );
  addLabelFlags(command)
    .option('--with <dictionary>', 'the same trained with another seed, for stability')
    .addOption(new Option('--probe <kind>').choices(['logistic', 'ridge']).default('logistic'))
    .option('--k <list>', 'numbers of latents that a sparse probe reads', numberListOption, [1, 2, 5])
    .option('--ablate <list>', 'numbers of latents ablated by tpp and scr', numberListOption, [
      ...ABLATED_LATENTS,
    ])
    .option('--words <n>', 'words of the vocabulary for absorption, at most', wholeOption, 8000)
    .option('--letter-examples <n>', 'examples of the task before each word', wholeOption, 10)
    .option('--tokens <n>', 'tokens for mdl, at most', wholeOption, 131_072)
    .option('--seed <n>', 'what is for training and what for testing', wholeOption, 0)
    .option('--out <folder>', 'where benchmark.json and benchmark.html go (default: the dictionary)')
    .addHelpText(
      'after',
      '\nExamples:\n  monoseme benchmark out/demo/dictionary --measure absorption,mdl\n' +
        '  monoseme benchmark dictionary --labels reviews.csv --label-field stars',
    )
    .action(run(benchmark));
  addDictionaryFlags(command);
  addBackendFlags(command);
  addTextFlags(command, 'heldOut');
};

async function benchmark(context: CommandContext, flags: Flags, folder: string): Promise<void> {
  checkNumbers(flags);
  const { chosen, skipped } = choose(flags);
  const backend = await openBackend(flags, context);
  const dictionary = await loadDictionary(folder);
  expectAutoencoder(dictionary, 'Autoencoders of one hook point are measured.');
  const out = flags.out ?? (await reportFolder(folder));
  const { model, hook } = await modelOfDictionary(context, dictionary, flags);
  const runner = await ModelRunner.start(model, { hook, threads: flags.threads });
  try {
    if (runner.dIn !== dictionary.config.dIn)
      throw new MonosemeError(
        'ERR_MISMATCH',
        `The dictionary reads ${dictionary.config.dIn} inputs, but ${runner.hookName} is ${runner.dIn} wide.`,
        'Choose the hook that the dictionary was trained on.',
      );
    const subject = { dictionary, backend, runner, signal: context.signal };
    const madeFrom: Record<string, string> = {
      dictionary: await dictionaryHash(folder),
      model: model.sha256,
    };
    if (flags.labels !== undefined) madeFrom['labels'] = await sha256File(flags.labels);
    let labelled: Promise<Labelled> | undefined;
    const state: Run = {
      ...{ context, flags, subject, model, madeFrom },
      labelled: () => (labelled ??= labelledExamples(context, flags, subject, model)),
    };
    let results: BenchmarkResults = {};
    for (const name of chosen) results = { ...results, ...(await MEASURES[name].run(state)) };
    const report = benchmarkReport(
      subjectText(dictionary, runner.hookName, runner.model.name),
      results,
      skipped,
    );
    const paths = await writeAnalysis(out, report, {
      ...{ madeFrom, backend: backend.description, seed: flags.seed, command: context.command },
    });
    for (const { title, text = [], tables = [] } of report.sections.slice(1)) {
      context.print(`\n${[title, ...text].join('\n')}`);
      for (const { caption, header, rows } of tables)
        context.print(`${caption === undefined ? '' : `${caption}\n`}${table(header, rows)}`);
    }
    context.print(`\n${paths.json}\n${paths.page}`);
    context.result({ report: paths.json, page: paths.page, ...report.json });
  } finally {
    await runner.close();
  }
}

function ablating({ context: { signal }, flags: { probe, ablate: ns, perClass, seed } }: Run) {
  return { probe, ns, perClass, seed, signal };
}

/** The measures that run; without `--measure`, those that lack nothing, and for the others what they lack. */
function choose(flags: Flags): { chosen: readonly Measure[]; skipped: SkippedMeasure[] } {
  const lacks = (name: Measure) =>
    MEASURES[name].needs.find((flag: keyof Flags) => flags[flag] === undefined);
  for (const name of flags.measure ?? []) {
    const flag = lacks(name);
    if (flag !== undefined)
      throw new MonosemeError('ERR_USAGE', `${name} needs ${FLAG_NAMES[flag]}.`, 'Give it, or leave it out.');
  }
  const wanted = NAMES.filter((name) => flags.measure?.includes(name) ?? true);
  const skipped = wanted.flatMap((measure) => {
    const flag = lacks(measure);
    return flag === undefined ? [] : [{ measure, why: `it needs ${FLAG_NAMES[flag]}` }];
  });
  return { chosen: wanted.filter((name) => lacks(name) === undefined), skipped };
}

function measureOption(text: string): Measure[] {
  return text.split(',').map((name) => {
    if ((NAMES as string[]).includes(name)) return name as Measure;
    throw new InvalidArgumentError(`"${name}" is none of ${NAMES.join(', ')}.`);
  });
}

function checkNumbers({ k, ablate, perClass, textTokens, words, tokens }: Flags): void {
  const lists = {
    k,
    ablate,
    'per-class': [perClass],
    'text-tokens': [textTokens],
    words: [words],
    tokens: [tokens],
  };
  for (const [name, list] of Object.entries(lists)) {
    if (list.length > 0 && list.every((n) => Number.isSafeInteger(n) && n > 0)) continue;
    throw new MonosemeError('ERR_USAGE', `--${name} takes whole numbers from 1.`, 'Give another.');
  }
}
