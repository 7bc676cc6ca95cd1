import { Option } from 'commander';
import { loadDictionary } from '../dictionary/index.ts';
import { MonosemeError } from '../errors.ts';
import {
  type DecoderRows,
  exportJsonl,
  importDashboards,
  openFeatureIndex,
  sourceNames,
  writeNeuronpedia,
  writeSaedashboard,
} from '../features/index.ts';
import { exportSite } from '../server/index.ts';
import { type CommandContext, withStage } from './context.ts';
import { dictionaryHash } from './dictionary-option.ts';
import { collectionOf } from './explore.ts';
import type { DeclareCommand } from './main.ts';
import { wholeOption } from './options.ts';

const FORMATS = ['site', 'jsonl', 'neuronpedia', 'saedashboard', 'index'] as const;

interface Flags {
  readonly format: (typeof FORMATS)[number];
  readonly out: string;
  readonly modelId?: string;
  readonly layer?: number;
  readonly setName?: string;
  readonly creatorId?: string;
  readonly dictionary?: string;
}

type Written = Record<string, unknown>;
type Report = { signal: AbortSignal; onProgress: (done: number, total?: number) => void };

/** `monoseme export`: an index for others, or others' exports as an index. */
export const exportCommand: DeclareCommand = (program, run) => {
  program
    .command('export')
    .description(
      'Write an index for others: as a site, JSON lines, or in the formats of Neuronpedia and SAEDashboard; or an export of theirs as an index.',
    )
    .argument(
      '<index...>',
      'folder of the index, or several for one site; with --format index, of an export of SAEDashboard or Neuronpedia',
    )
    .addOption(
      new Option(
        '--format <name>',
        'site (page and index), jsonl, neuronpedia (bulk files and uploads), saedashboard (batches), or index',
      )
        .choices(FORMATS)
        .default('site'),
    )
    .requiredOption('--out <path>', 'folder, site.zip for a site in one file, or the file of JSON lines')
    .option('--model-id <name>', "Neuronpedia's name of the model (default: from the dictionary)")
    .option('--layer <n>', 'layer of the hook (default: from its name)', wholeOption)
    .option('--set-name <name>', "Neuronpedia's name of the set (default: monoseme-<d_sae>)")
    .option('--creator-id <id>', "Neuronpedia's account of the rows")
    .option('--dictionary <folder>', 'dictionary of the index: its decoder directions are written too')
    .addHelpText('after', '\nExample:\n  monoseme export out/demo/index --format site --out features')
    .action(
      run(async (context, flags: Flags, ...paths) => {
        const written = await withStage<Written>(context, 'export', 'features', async (stage) => {
          const report = {
            signal: context.signal,
            onProgress: (done: number, total?: number) => stage.update(done, total ?? done),
          };
          return flags.format === 'site'
            ? writeSite(context, flags, paths)
            : write(flags, onePath(paths), report);
        });
        context.print(flags.out);
        context.result({ format: flags.format, out: flags.out, ...written });
      }),
    );
};

async function writeSite(
  context: CommandContext,
  flags: Flags,
  paths: readonly string[],
): Promise<[Written, string]> {
  const site = await exportSite((await collectionOf(context, {}, paths)) ?? paths[0], flags.out);
  return [site, `${site.files} files`];
}

function onePath(paths: readonly string[]): string {
  if (paths.length === 1) return paths[0];
  throw new MonosemeError('ERR_USAGE', `${paths.length} indexes are named.`, 'Only a site can hold several.');
}

async function write(flags: Flags, folder: string, report: Report): Promise<[Written, string]> {
  if (flags.format === 'index') {
    const { features, format } = await importDashboards(folder, flags.out, report);
    return [{ features, from: format }, `${features} features of ${format}`];
  }
  const index = await openFeatureIndex(folder);
  if (flags.format === 'jsonl') {
    const sha256 = await exportJsonl(index, flags.out, report);
    return [{ sha256 }, `${index.dSae} features`];
  }
  const names = sourceNames(index.details, flags);
  const decoder =
    flags.dictionary === undefined ? undefined : await decoderOf(index.manifest, flags.dictionary);
  const options = { ...report, decoder, creatorId: flags.creatorId };
  const writeAs = flags.format === 'neuronpedia' ? writeNeuronpedia : writeSaedashboard;
  const { files } = await writeAs(index, flags.out, names, options);
  return [{ files, model_id: names.modelId, source: names.sourceId }, `${files} files of ${names.sourceId}`];
}

/** @throws {MonosemeError} ERR_MISMATCH when the index is of another dictionary */
async function decoderOf(
  { madeFrom }: { readonly madeFrom: Readonly<Record<string, string>> },
  path: string,
): Promise<DecoderRows> {
  if ((await dictionaryHash(path)) !== madeFrom['dictionary'])
    throw new MonosemeError(
      'ERR_MISMATCH',
      `${path} is not the dictionary that the index was made from.`,
      'Name the right one, or leave it out.',
    );
  const { weights, config } = await loadDictionary(path);
  return { row: (latent) => weights.W_dec.subarray(latent * config.dIn, (latent + 1) * config.dIn) };
}
