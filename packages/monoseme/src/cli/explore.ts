import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Collection, openCollection } from '../collection/index.ts';
import { loadDictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import { importDashboards, openDashboards, openFeatureIndex } from '../features/index.ts';
import { ModelRunner } from '../model/index.ts';
import { type LiveParts, serveExplorer, type ServeOptions } from '../server/index.ts';
import { addBackendFlags, type BackendFlags, openBackend } from './backend-option.ts';
import { type CommandContext, withStage } from './context.ts';
import {
  addDictionaryFlags,
  type DictionaryFlags,
  dictionaryHash,
  modelOfDictionary,
} from './dictionary-option.ts';
import { openTokenizer } from './model-option.ts';
import type { DeclareCommand } from './main.ts';
import { portOption } from './options.ts';

export const DEFAULT_PORT = 8421;

interface Flags extends DictionaryFlags, BackendFlags {
  readonly port: number;
  readonly host: string;
  readonly dictionary?: string;
  readonly live: boolean;
}

/** `monoseme explore`: the page over an index. */
export const exploreCommand: DeclareCommand = (program, run) => {
  const command = program
    .command('explore')
    .description('Open the page on which the features of an index are read.')
    .argument(
      '<index...>',
      'folder of the index, or of an export of SAEDashboard or Neuronpedia; several, or a folder of them: a collection',
    )
    .option('--port <n>', 'port on 127.0.0.1; 0 takes any that is free', portOption, DEFAULT_PORT)
    .option('--host <address>', 'address to listen on; beyond this machine a token is asked for', '127.0.0.1')
    .option(
      '--dictionary <folder>',
      'dictionary that the index is of, for text of your own (default: the one beside the index)',
    )
    .option('--no-live', 'files only: no model is opened')
    .addHelpText('after', '\nExamples:\n  monoseme explore out/demo/index\n  monoseme explore out/sweep')
    .action(
      run(async (context, flags: Flags, ...paths) => {
        const collection = await collectionOf(context, flags, paths);
        if (collection) return exploreCollection(context, flags, paths, collection);
        const [folder] = paths;
        const index = await readableIndex(context, folder);
        let live: LiveParts | undefined;
        try {
          const beside = join(index.folder, '../dictionary');
          live = flags.live ? await openLive(context, index.folder, beside, flags) : undefined;
          await serveUntilInterrupted(
            context,
            { index: index.folder, port: flags.port, host: flags.host, live },
            (url) => context.result({ index: folder, url, live: live !== undefined }),
          );
        } finally {
          await live?.runner.close();
          await index.remove();
        }
      }),
    );
  addDictionaryFlags(command);
  addBackendFlags(command);
};

/**
 * The collection that the paths name: several indexes, or a folder with some below it; undefined where the path is an
 * index or an export itself.
 */
export async function collectionOf(
  context: CommandContext,
  flags: BackendFlags,
  paths: readonly string[],
): Promise<Collection | undefined> {
  if (paths.length === 1) {
    const isFolder = await stat(paths[0]).then(
      (stats) => stats.isDirectory(),
      () => false,
    );
    if (!isFolder || existsSync(join(paths[0], 'manifest.json')) || (await openDashboards(paths[0])))
      return undefined;
  }
  const backend = await openBackend(flags, context);
  return withStage(context, 'open', 'indexes', async () => {
    const collection = await openCollection(paths, backend);
    const { length } = collection.members;
    return [collection, length === 1 ? '1 dictionary' : `${length} dictionaries`];
  });
}

async function exploreCollection(
  context: CommandContext,
  flags: Flags,
  paths: readonly string[],
  collection: Collection,
): Promise<void> {
  const { port, host, live } = flags;
  if (flags.dictionary !== undefined)
    throw new MonosemeError(
      'ERR_USAGE',
      'Several indexes are opened, and --dictionary names one dictionary.',
      'Leave it out: those beside the indexes are taken.',
    );
  const openMember = async (name: string) => {
    const member = collection.members.find((one) => one.name === name);
    if (member?.index === undefined || member.dictionary === undefined) return undefined;
    return openLive(context, member.index, member.dictionary, flags);
  };
  const dictionaries = collection.members.length;
  await serveUntilInterrupted(
    context,
    { index: collection, port, host, openMember: live ? openMember : undefined },
    (url) => context.result({ index: paths, url, dictionaries, live }),
  );
}

/** An index as it is; an export of others is read into one that lasts as long as the server. */
async function readableIndex(
  context: CommandContext,
  path: string,
): Promise<{ folder: string; remove(): Promise<void> }> {
  if (!(await openDashboards(path))) return { folder: path, remove: async () => {} };
  const temporary = await mkdtemp(join(tmpdir(), 'monoseme-explore-'));
  const remove = () => rm(temporary, { recursive: true, force: true });
  const folder = join(temporary, 'index');
  try {
    await withStage<void>(context, 'read', 'features', async (stage) => {
      const { features, format } = await importDashboards(path, folder, {
        signal: context.signal,
        onProgress: (done) => stage.update(done, done),
      });
      return [undefined, `${features} features of ${format}`];
    });
  } catch (error) {
    await remove();
    throw error;
  }
  return { folder, remove };
}

/** Model and dictionary of an index: those named, else the dictionary beside it if it is the one indexed. */
async function openLive(
  context: CommandContext,
  index: string,
  beside: string,
  flags: Flags,
): Promise<LiveParts | undefined> {
  const { manifest, details } = await openFeatureIndex(index);
  // A reader's own text is nothing for a model that reads arrays.
  if (details.corpus.axes && flags.dictionary === undefined) return undefined;
  const path = flags.dictionary ?? beside;
  const hash = await dictionaryHash(path).catch((error: unknown) => {
    if (flags.dictionary === undefined) return undefined;
    throw error;
  });
  if (hash === undefined) return undefined;
  if (hash !== manifest.madeFrom['dictionary']) {
    if (flags.dictionary === undefined) return undefined;
    throw new MonosemeError(
      'ERR_MISMATCH',
      `${path} is not the dictionary that ${index} was made from.`,
      'Name the right one, or leave it out.',
    );
  }
  const backend = await openBackend(flags, context);
  const dictionary = await loadDictionary(path);
  const { model, hook } = await modelOfDictionary(context, dictionary, flags);
  const tokenizer = await openTokenizer(model, undefined);
  const runner = await ModelRunner.start(model, { hook, threads: flags.threads, suffix: true });
  return { runner, dictionary, backend, tokenizer };
}

/** Serve the page over an index until Ctrl-C, which is how it is meant to end. */
export async function serveUntilInterrupted(
  context: CommandContext,
  options: ServeOptions,
  onServing: (url: string) => void,
): Promise<void> {
  const server = await serveExplorer(options);
  try {
    if (server.isOpen)
      context.progress.write(
        'Others can reach this server. Only who has the address with its token is let in.\n',
      );
    context.print(`\n${server.url}  (Ctrl-C ends)`);
    onServing(server.url);
    if (!context.signal.aborted) await once(context.signal, 'abort');
  } finally {
    await server.close();
  }
}
