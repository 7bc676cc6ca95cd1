import { Option } from 'commander';
import { exportJsonl, openFeatureIndex } from '../features/index.ts';
import { exportSite } from '../server/index.ts';
import { withStage } from './context.ts';
import type { DeclareCommand } from './main.ts';

interface Flags {
  readonly format: 'site' | 'jsonl';
  readonly out: string;
}

/** `monoseme export`: an index for others, as a site or as JSON lines. */
export const exportCommand: DeclareCommand = (program, run) => {
  program
    .command('export')
    .description('Write an index for others: a folder for any static host, or one JSON object a feature.')
    .argument('<index>', 'folder of the index')
    .addOption(
      new Option('--format <name>', 'site (page and index) or jsonl')
        .choices(['site', 'jsonl'])
        .default('site'),
    )
    .requiredOption('--out <path>', 'folder of the site, or file of JSON lines')
    .addHelpText('after', '\nExample:\n  monoseme export out/demo/index --format site --out features')
    .action(
      run(async (context, flags: Flags, folder) => {
        const result = await withStage<Record<string, unknown>>(
          context,
          'export',
          'features',
          async (stage) => {
            if (flags.format === 'site') {
              const site = await exportSite(folder, flags.out);
              return [site, `${site.files} files`];
            }
            const index = await openFeatureIndex(folder);
            const sha256 = await exportJsonl(index, flags.out, {
              signal: context.signal,
              onProgress: (done, total) => stage.update(done, total),
            });
            return [{ sha256 }, `${index.dSae} features`];
          },
        );
        context.print(flags.out);
        context.result({ format: flags.format, out: flags.out, ...result });
      }),
    );
};
