/**
 * `npm run bench -- density`: what the sparse primitives cost as more latents fire, from a few to half of all. Past the
 * density where pair by pair is slower they multiply dense tiles; the time of a batch must not jump there.
 */
import { availableParallelism } from 'node:os';
import { selectBackend } from '../packages/monoseme/dist/kernels/index.js';
import { benchOptions } from './command.js';
import { encodeData } from './kernel-data.js';
import { updateInput } from './kernels.js';
import { environmentText, jsonLine, summarize, table } from './measure.js';

const HELP = `Usage: npm run bench -- density [options]

Time of the sparse primitives for L0 from 8 to half of the latents.

  --d-in <n>     inputs (default: 512)
  --d-sae <n>    latents (default: 4096)
  --batch <n>    rows (default: 1024)
  --rounds <n>   rounds (default: 5)
  --threads <n>  threads (default: all cores)
  --quick        a tiny run that checks the benchmark itself
  --json         lines of JSON on stdout, everything else on stderr`;

const OPTIONS = {
  'd-in': { type: 'string' },
  'd-sae': { type: 'string' },
  batch: { type: 'string' },
  rounds: { type: 'string' },
  threads: { type: 'string' },
};

/** @param {string[]} args command-line options */
export async function density(args) {
  const asked = benchOptions(args, HELP, OPTIONS);
  if (!asked) return;
  const { flags, log } = asked;
  const number = (name, otherwise) => Number(flags[name] ?? otherwise);
  const shape = {
    nRows: number('batch', flags.quick ? 100 : 1024),
    dIn: number('d-in', flags.quick ? 64 : 512),
    dSae: number('d-sae', flags.quick ? 128 : 4096),
  };
  const rounds = number('rounds', flags.quick ? 2 : 5);
  const backend = await selectBackend({ name: 'native', threads: number('threads', availableParallelism()) });
  log(environmentText());
  log(`\n${backend.description}; B ${shape.nRows}, d_in ${shape.dIn}, d_sae ${shape.dSae}`);
  const rows = [];
  for (let l0 = 8; l0 <= shape.dSae / 2; l0 *= 2) {
    const times = await measure(backend, { ...shape, l0 }, rounds);
    for (const [name, summary] of Object.entries(times))
      if (flags.json)
        console.log(jsonLine('density', `L0 ${l0}, ${name}`, backend.description, 'time', 'ms', summary));
    rows.push([String(l0), ...Object.values(times).map(({ median }) => median.toFixed(2))]);
  }
  log(table(['L0', 'decode ms', 'sampledProducts', 'residuals', 'updateRows'], rows));
}

/** Milliseconds of each primitive, in rounds; the first is not counted. */
async function measure(backend, shape, rounds) {
  const data = encodeData(shape);
  const codes = await backend.encode({ ...data, selection: { kind: 'threshold' } });
  const decode = { codes, dOut: shape.dIn, W_dec: data.W_enc };
  const residuals = new Float32Array(data.x.length);
  const update = updateInput(data, await backend.transpose(codes), codes.values);
  const work = {
    decode: () => backend.decode(decode),
    sampledProducts: () => backend.sampledProducts({ ...decode, rows: data.x }),
    residuals: () => backend.residuals({ ...decode, target: data.x, residuals }),
    updateRows: () => backend.updateRows(update),
  };
  const times = Object.fromEntries(Object.keys(work).map((name) => [name, []]));
  for (let round = -1; round < rounds; round++) {
    for (const [name, run] of Object.entries(work)) {
      const start = performance.now();
      await run();
      if (round >= 0) times[name].push(performance.now() - start);
    }
  }
  return Object.fromEntries(Object.entries(times).map(([name, all]) => [name, summarize(all)]));
}
