/**
 * `npm run bench -- evaluate`: a dictionary measured on text with ablations, in a process of its own, against the figures it
 * has to reach.
 */
import { join } from 'node:path';
import { benchOptions, monoseme, trained, withFolder } from './command.js';
import { environmentText, jsonLine, summarize, table } from './measure.js';

const HELP = `Usage: npm run bench -- evaluate [options]

Seconds and peak memory of \`monoseme evaluate\` on 1,000,000 tokens of the embedded model, the model run on from edited
activations on 131,072 of them.

  --dictionary <folder>  a trained one (default: 4,096 latents are trained first, in 1 to 3 minutes)
  --downstream <n>       tokens on which the model is run on (default: 131072)
  --rounds <n>           runs (default: 1)
  --quick                a tiny run that checks the benchmark itself
  --json                 lines of JSON on stdout, everything else on stderr`;

/** Figure, unit, and what it has to be on a 2-core machine. */
const FIGURES = [
  ['seconds', 's', 'at most 60'],
  ['peak_memory_bytes', 'byte', 'under 1073741824'],
  ['n_tokens', 'token', 'at least 999000'],
  ['ce_loss_score', 'share', 'at least 0.9'],
];

/** @param {string[]} args command-line options */
export async function evaluate(args) {
  const options = {
    dictionary: { type: 'string' },
    downstream: { type: 'string', default: '131072' },
    rounds: { type: 'string', default: '1' },
  };
  const asked = benchOptions(args, HELP, options);
  if (!asked) return;
  const { flags, log } = asked;
  log(`${environmentText()}\n`);
  await withFolder('evaluate', async (folder) => {
    const dictionary = flags.dictionary ?? trained(join(folder, 'dictionary'), flags.quick);
    const results = Array.from({ length: Number(flags.rounds) }, () => run(dictionary, folder, flags));
    const rows = FIGURES.map(([metric, unit, target]) => {
      const summary = summarize(results.map((result) => result[metric]));
      if (flags.json) console.log(jsonLine('evaluate', 'evaluate', 'monoseme', metric, unit, summary));
      const values = [summary.min, summary.median, summary.max];
      return [metric, ...values.map((value) => String(Number(value.toFixed(4)))), target];
    });
    log(table(['figure', 'min', 'median', 'max', 'to reach'], rows));
  });
}

function run(dictionary, out, { quick, downstream }) {
  const size = ['--tokens', quick ? '20k' : '1M', '--downstream-tokens', downstream, '--split', 'all'];
  const result = monoseme(['evaluate', dictionary, ...size, '--out', join(out, 'report')]);
  const undefinedFigure = ['ce_loss_score', 'explained_variance'].find((name) => !(name in result));
  if (undefinedFigure) throw new Error(`The evaluation has no ${undefinedFigure}.`);
  return result;
}
