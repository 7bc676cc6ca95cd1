import {
  automata,
  automataAnalysis,
  controlsAnalysis,
  coActivationParts,
  familyOf,
  sideBySide,
  DEFAULT_PROXIES,
  groupsAnalysis,
  latentGroups,
  persistence,
  persistenceAnalysis,
  subspaceOverlap,
  principalComponents,
  type Proxy,
  proxyAnalysis,
  randomDirections,
  searchProxies,
  splitting,
  splittingAnalysis,
  motifs,
  motifsAnalysis,
  neuronScatter,
  notNeurons,
  notNeuronsAnalysis,
  topTokens,
  withControls,
} from '../analysis/index.ts';
import { MonosemeError } from '../errors.ts';
import { type EffectFlags, findEffects } from './analyze-effects.ts';
import { addAnalyzeFlags, analyze, type AnalyzeFlags, type AnalyzeInput } from './analyze-input.ts';
import { findUniversality, type UniversalityFlags } from './analyze-universality.ts';
import { readMatrix } from './matrix-file.ts';
import type { DeclareCommand } from './main.ts';
import { latentNumber, repeatable, wholeOption } from './options.ts';
import { shownToken } from './text.ts';

interface ControlFlags extends AnalyzeFlags {
  readonly shuffled?: string;
}

interface SubspaceFlags extends AnalyzeFlags {
  readonly subspace?: string;
}

interface LatentFlags extends AnalyzeFlags {
  readonly latent?: string[];
}

interface ProxyFlags extends LatentFlags {
  readonly pattern?: string[];
  readonly bySource?: boolean;
  readonly controls?: boolean;
}

/** `monoseme analyze …`: what the latents of a dictionary stand for, and how dictionaries compare. */
export const analyzeCommand: DeclareCommand = (program, run) => {
  const group = program
    .command('analyze')
    .description('Analyses of the paper, on one dictionary or two.')
    .addHelpText('after', '\nExample:\n  monoseme analyze proxies out/demo/dictionary --by-source');

  const proxies = group
    .command('proxies')
    .description(
      'Find the best latent for scripts, encodings, formats of text and own patterns; against neurons.',
    )
    .argument('<dictionary>', 'folder of the dictionary')
    .option(
      '--pattern <name=regex>',
      'a concept of your own, as in year=[12]\\d{3}; may be repeated',
      repeatable,
    )
    .option('--by-source', 'every source of the text as a concept too')
    .option('--latent <n>', 'a latent to look at by every concept; may be repeated', repeatable)
    .option('--controls', 'compare with principal components and as many random directions too')
    .action(
      run((context, flags: ProxyFlags, folder) => analyze(context, flags, [folder], findProxies(flags))),
    );

  const universal = group
    .command('universality')
    .description('How well the latents of one dictionary are found again in another.')
    .argument('<dictionary>', 'folder of the first')
    .argument('<other>', 'folder of the second, of the same model or of another')
    .option('--effects', 'compare logit weights and attributions of the matches too')
    .action(
      run((context, flags: UniversalityFlags, first, second) =>
        analyze(context, flags, [first, second], findUniversality(flags), { severalTokenizers: true }),
      ),
    );

  const split = group
    .command('splitting')
    .description('Into which latents of a larger dictionary those of a smaller one split.')
    .argument('<smaller>', 'folder of the smaller dictionary')
    .argument('<larger>', 'folder of the larger')
    .option('--latent <n>', 'a latent of the smaller whose family is drawn; may be repeated', repeatable)
    .action(
      run((context, flags: LatentFlags, smaller, larger) =>
        analyze(context, flags, [smaller, larger], findSplitting(flags)),
      ),
    );

  const machines = group
    .command('automata')
    .description('Latents that lead to each other from token to token: finite-state automata.')
    .argument('<dictionary>', 'folder of the dictionary')
    .action(run((context, flags: AnalyzeFlags, folder) => analyze(context, flags, [folder], findAutomata)));

  const kinds = group
    .command('motifs')
    .description('Latents by what they fire on: contexts, tokens in contexts, single tokens, trigrams.')
    .argument('<dictionary>', 'folder of the dictionary')
    .action(run((context, flags: AnalyzeFlags, folder) => analyze(context, flags, [folder], findMotifs)));

  const alike = group
    .command('neurons')
    .description(
      'Whether latents are neurons: the most correlated ones, decoder coefficients, scatter plots.',
    )
    .argument('<dictionary>', 'folder of the dictionary')
    .option('--latent <n>', 'a latent to plot against its neuron; may be repeated', repeatable)
    .action(
      run((context, flags: LatentFlags, folder) => analyze(context, flags, [folder], compareNeurons(flags))),
    );

  const together = group
    .command('groups')
    .description('Groups of latents with near directions, their shape and dilution; the co-activation graph.')
    .argument('<dictionary>', 'folder of the dictionary')
    .action(run((context, flags: AnalyzeFlags, folder) => analyze(context, flags, [folder], findGroups)));

  const lasting = group
    .command('persistence')
    .description('How long latents hold on along a text, against random directions of the same variance.')
    .argument('<dictionary>', 'folder of the dictionary')
    .option(
      '--subspace <file>',
      'a file (.safetensors, .npz, .pt) whose first array is [n, d_in]: overlap with its span',
    )
    .action(
      run((context, flags: SubspaceFlags, folder) =>
        analyze(context, flags, [folder], findPersistence(flags)),
      ),
    );

  const effects = group
    .command('effects')
    .description('What latents do to what the model says: logit weights, ablations, samples with them held.')
    .argument('<dictionary>', 'folder of the dictionary')
    .option('--latent <n>', 'a latent; may be repeated', repeatable)
    .option('--prompt <text>', 'what samples begin with', '1,2,3,4,5,6,7,8,9,10')
    .option('--samples <n>', 'samples of each latent', wholeOption, 3)
    .action(
      run((context, flags: EffectFlags, folder) => analyze(context, flags, [folder], findEffects(flags))),
    );

  const beside = group
    .command('controls')
    .description(
      'The same figures of a dictionary, neurons, principal components, random directions, side by side.',
    )
    .argument('<dictionary>', 'folder of the dictionary')
    .option('--shuffled <folder>', 'a dictionary of the shuffled model (monoseme control) too')
    .action(
      run((context, flags: ControlFlags, folder) =>
        analyze(context, flags, [folder, ...(flags.shuffled ? [flags.shuffled] : [])], compareControls),
      ),
    );

  const all = [proxies, universal, split, machines, kinds, alike, together, lasting, effects, beside];
  for (const command of all) addAnalyzeFlags(command);
};

function findProxies(flags: ProxyFlags) {
  const own = (flags.pattern ?? []).map(ownPattern);
  return async ({ texts: [text], tokens, tokenizer, pass }: AnalyzeInput) => {
    const { dIn, dSae } = text.dictionary.config;
    const latents = (flags.latent ?? []).map((number) => latentNumber(number, dSae));
    const controls = flags.controls
      ? [
          await principalComponents(text.source, { signal: pass.signal }),
          randomDirections(dIn, dSae, flags.seed),
        ]
      : [];
    const sources = [...new Set(tokens.documents.map(({ source }) => source))];
    const bySource = sources.map((source): Proxy => ({ kind: 'source', name: `source ${source}`, source }));
    const all = [...DEFAULT_PROXIES, ...own, ...(flags.bySource ? bySource : [])];
    return proxyAnalysis(await searchProxies(text, tokens, tokenizer, all, pass, { controls, latents }));
  };
}

/** `name=regex` as a proxy. */
function ownPattern(text: string): Proxy {
  const at = text.indexOf('=');
  try {
    if (at < 1) throw new Error('there is no name');
    return { kind: 'pattern', name: text.slice(0, at), pattern: new RegExp(text.slice(at + 1), 'gu') };
  } catch (error) {
    throw new MonosemeError(
      'ERR_OPTION',
      `"${text}" is no pattern: ${(error as Error).message}.`,
      'Write it as NAME=REGEX, as in year=[12]\\d{3}.',
    );
  }
}

function findSplitting({ latent: asked = [] }: LatentFlags) {
  return async (input: AnalyzeInput) => {
    const { texts, pass } = input;
    const [smaller, larger] = texts;
    const sizes = texts.map(({ dictionary }) => dictionary.config.dSae);
    if (sizes[0] > sizes[1])
      throw new MonosemeError(
        'ERR_OPTION',
        `The first dictionary has ${sizes[0]} latents, more than the ${sizes[1]} of the second.`,
        'Name the smaller one first.',
      );
    const latents = asked.map((number) => latentNumber(number, smaller.dictionary.config.dSae));
    const found = await splitting(smaller, larger, pass);
    if (latents.length === 0) return splittingAnalysis(found);
    const families = latents.map((latent) => familyOf(found, latent));
    const children = families.flatMap((family) => family.children);
    const named = [
      [...latents, ...children.flatMap(({ parents }) => parents.map(({ latent }) => latent))],
      children.map(({ latent }) => latent),
    ];
    return splittingAnalysis(found, families, [
      await topTokenOf(input, named[0], smaller),
      await topTokenOf(input, named[1], larger),
    ]);
  };
}

async function findGroups(input: AnalyzeInput) {
  const found = await latentGroups(input.texts[0], input.pass);
  const drawn = coActivationParts(found.edges).flatMap(({ latents }) => latents);
  return groupsAnalysis(found, await topTokenOf(input, drawn));
}

async function findAutomata(input: AnalyzeInput) {
  const found = await automata(input.texts[0], input.pass);
  const latents = found.systems.flatMap((system) => system.latents);
  return automataAnalysis(found, await topTokenOf(input, latents));
}

/** Says the token that each of some latents fires on most, by another pass. */
async function topTokenOf(
  { texts: [first], tokens, tokenizer, pass }: AnalyzeInput,
  latents: readonly number[],
  text = first,
) {
  const tops = await topTokens(text, tokens, new Set(latents), pass);
  return (latent: number) => {
    const token = tops.get(latent);
    return token === undefined ? '' : shownToken(tokenizer, token);
  };
}

async function findMotifs({ texts: [text], tokens, tokenizer, pass }: AnalyzeInput) {
  const found = await motifs(text, tokens, tokenizer.vocabSize, pass);
  return motifsAnalysis(found, (token) => shownToken(tokenizer, token));
}

/** Latents that are plotted without `--latent`: those at the quartiles of the correlation. */
const PLOTTED = [0.25, 0.5, 0.75];

function compareNeurons({ latent: asked }: LatentFlags) {
  return async ({ texts: [text], pass }: AnalyzeInput) => {
    const wanted = asked?.map((number) => latentNumber(number, text.dictionary.config.dSae));
    const found = await notNeurons(text, pass);
    const known = found.latents
      .flatMap(({ latent, neuron, correlation }) =>
        neuron === undefined ? [] : [{ latent, neuron, correlation: correlation! }],
      )
      .sort((a, b) => a.correlation - b.correlation || a.latent - b.latent);
    const typical = PLOTTED.flatMap((quantile) => known[Math.floor(quantile * known.length)] ?? []);
    const plotted = wanted ? known.filter(({ latent }) => wanted.includes(latent)) : typical;
    return notNeuronsAnalysis(found, await neuronScatter(text, plotted, pass));
  };
}

function findPersistence({ subspace, seed }: SubspaceFlags) {
  return async ({ texts: [text], pass }: AnalyzeInput) => {
    const overlap =
      subspace === undefined ? undefined : subspaceOverlap(text.dictionary, await readMatrix(subspace));
    return persistenceAnalysis(await persistence(text, pass, seed), overlap);
  };
}

async function compareControls({ texts: [own, shuffled], tokens, tokenizer, pass }: AnalyzeInput) {
  const texts = await withControls(own, shuffled, pass.signal);
  return controlsAnalysis(await sideBySide(texts, tokens, tokenizer, DEFAULT_PROXIES, pass));
}
