/**
 * `npm run bench -- universality`: two dictionaries of two models compared over one text, in a process of its own, against the
 * figures it has to reach.
 */
import { join } from 'node:path';
import { loadDictionary, saveDictionary } from 'monoseme/dictionary';
import { benchOptions, monoseme, withFolder } from './command.js';
import { environmentText, jsonLine, summarize, table } from './measure.js';

const HELP = `Usage: npm run bench -- universality [options]

Seconds and peak memory of \`monoseme analyze universality\` between dictionaries of the two embedded models: of 4,096 latents
over 4,000,000 tokens, and of 65,536 latents (each of the 4,096 sixteen times, at rising thresholds) over 500,000.

  --a <folder>, --b <folder>  trained ones (default: 4,096 latents of each model are trained first, in 2 to 6 minutes)
  --only <what>               time or memory (default: both)
  --quick                     a tiny run that checks the benchmark itself
  --json                      lines of JSON on stdout, everything else on stderr`;

/** @param {string[]} args command-line options */
export async function universality(args) {
  const options = {
    a: { type: 'string' },
    b: { type: 'string' },
    only: { type: 'string' },
  };
  const asked = benchOptions(args, HELP, options);
  if (!asked) return;
  const { flags, log } = asked;
  log(`${environmentText()}\n`);
  await withFolder('universality', async (folder) => {
    const pair = [flags.a ?? trained('a', folder, flags.quick), flags.b ?? trained('b', folder, flags.quick)];
    const rows = [];
    if (flags.only !== 'memory') {
      const { seconds, peak_memory_bytes: peak, matches } = compare(pair, flags.quick ? '20k' : '4M', folder);
      rows.push(['seconds, 4,096 latents', 's', seconds, 'at most 90'], ['peak memory', 'byte', peak, '']);
      rows.push(['latents with a match', 'latent', matches, 'most of them']);
    }
    if (flags.only !== 'time') {
      const large = [];
      for (const [i, path] of pair.entries()) large.push(await repeated(path, join(folder, `large-${i}`)));
      const {
        seconds,
        peak_memory_bytes: peak,
        matches,
      } = compare(large, flags.quick ? '20k' : '500k', folder);
      rows.push(['peak memory, 65,536 latents', 'byte', peak, 'at most 4294967296']);
      rows.push(['seconds, 65,536 latents', 's', seconds, ''], ['with a match', 'latent', matches, 'many']);
    }
    for (const [metric, unit, value] of rows)
      if (flags.json)
        console.log(jsonLine('universality', 'universality', 'monoseme', metric, unit, summarize([value])));
    log(
      table(
        ['figure', 'value', 'to reach'],
        rows.map(([name, , value, target]) => [name, String(Number(value.toFixed(1))), target]),
      ),
    );
  });
}

function trained(name, folder, quick) {
  const out = join(folder, name);
  const small = ['--tokens', '20k', '--d-sae', '64', '--batch-rows', '256'];
  const size = quick ? small : ['--tokens', '1.5M', '--d-sae', '4096'];
  const seed = name === 'a' ? '0' : '1';
  monoseme(['train', '--model', `one-layer-${name}`, '--seed', seed, ...size, '--out', out]);
  return out;
}

/** A dictionary of 16 times the latents: each again and again, at thresholds that rise by a quarter of a unit. */
async function repeated(path, out) {
  const { config, weights } = await loadDictionary(path);
  const times = 16;
  const repeat = (matrix) => {
    const all = new Float32Array(times * matrix.length);
    for (let i = 0; i < times; i++) all.set(matrix, i * matrix.length);
    return all;
  };
  const b_enc = repeat(weights.b_enc).map((bias, j) => bias - 0.25 * Math.floor(j / config.dSae));
  await saveDictionary(out, {
    config: { ...config, dSae: times * config.dSae },
    weights: { ...weights, W_enc: repeat(weights.W_enc), W_dec: repeat(weights.W_dec), b_enc },
  });
  return out;
}

function compare([a, b], tokens, folder) {
  const out = ['--split', 'all', '--tokens', tokens, '--out', join(folder, 'report')];
  const measured = monoseme(['analyze', 'universality', a, b, ...out]);
  if (!(measured.matches > 0)) throw new Error(`No latent has a match: ${measured.summary}`);
  return measured;
}
