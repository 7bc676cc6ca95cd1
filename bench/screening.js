/**
 * `npm run bench -- screening`: encoding with and without the encoder in 8 bits, for sizes, L0, kinds of data and
 * selections. The codes must be the same bytes; where screening cannot pay it must cost next to nothing.
 */
import { availableParallelism } from 'node:os';
import { selectBackend, withPassingResults } from '../packages/monoseme/dist/kernels/index.js';
import { benchOptions } from './command.js';
import { encodeData } from './kernel-data.js';
import { environmentText, jsonLine, summarize, table } from './measure.js';

const HELP = `Usage: npm run bench -- screening [options]

Time of encode in fp32 and by screening with 8 bits, whose codes are the same bytes: the best of all rounds, in which both
take turns.

  --d-in <n>      inputs (default: 512)
  --d-sae <n>     latents; may be repeated (default: 4096, 16384 and 65536)
  --l0 <n>        active latents a row; may be repeated (default: 8, 32, 64, 128, 256 and 1024)
  --data <kind>   normal, heavy (cubes of normal numbers) or outlier (one coordinate 50 times the others); may be
                  repeated (default: all)
  --batch <n>     rows (default: 4096)
  --rounds <n>    rounds (default: 3)
  --threads <n>   threads (default: all cores)
  --quick         a tiny run that checks the benchmark itself
  --json          lines of JSON on stdout, everything else on stderr`;

const OPTIONS = {
  'd-in': { type: 'string' },
  'd-sae': { type: 'string', multiple: true },
  l0: { type: 'string', multiple: true },
  data: { type: 'string', multiple: true },
  batch: { type: 'string' },
  rounds: { type: 'string' },
  threads: { type: 'string' },
};

/** What becomes of normal numbers. */
const KINDS = {
  normal: () => {},
  heavy({ x, W_enc, dIn }) {
    const cube = (values, scale) =>
      values.forEach((value, i) => (values[i] = (value / scale) ** 3 * (scale / Math.sqrt(15))));
    cube(x, 1);
    cube(W_enc, 1 / Math.sqrt(dIn));
  },
  outlier({ x, dIn }) {
    for (let i = 0; i < x.length; i += dIn) x[i] *= 50;
  },
};

/** @param {string[]} args command-line options */
export async function screening(args) {
  const asked = benchOptions(args, HELP, OPTIONS);
  if (!asked) return;
  const { flags, log } = asked;
  const quick = flags.quick;
  const numbers = (name, otherwise) => (flags[name] ?? otherwise).map(Number);
  const nRows = Number(flags.batch ?? (quick ? 600 : 4096));
  const dIn = Number(flags['d-in'] ?? (quick ? 64 : 512));
  const rounds = Number(flags.rounds ?? (quick ? 1 : 3));
  const threads = Number(flags.threads ?? availableParallelism());
  const backend = await selectBackend({ name: 'native', threads });
  log(environmentText());
  log(`\n${backend.description}; B ${nRows}, d_in ${dIn}`);
  const rows = [];
  let worst = { faster: Infinity };
  for (const kind of flags.data ?? Object.keys(KINDS)) {
    if (!Object.hasOwn(KINDS, kind))
      throw new Error(`--data is ${kind}; it takes ${Object.keys(KINDS).join(', ')}.`);
    for (const dSae of numbers('d-sae', quick ? [256] : [4096, 16_384, 65_536])) {
      for (const l0 of numbers('l0', quick ? [8] : [8, 32, 64, 128, 256, 1024])) {
        if (2 * l0 > dSae) continue;
        // A backend of its own, which remembers nothing of the case before.
        const fresh = await selectBackend({ name: 'native', threads });
        const times = await measure(fresh, kind, { nRows, dIn, dSae, l0 }, rounds);
        for (const { selection, plain, screened } of times) {
          const name = `${kind}, d_sae ${dSae}, L0 ${l0}, ${selection}`;
          if (flags.json) {
            console.log(jsonLine('screening', name, 'fp32', 'time', 'ms', plain));
            console.log(jsonLine('screening', name, 'screened', 'time', 'ms', screened));
          }
          const faster = plain.min / screened.min;
          if (faster < worst.faster) worst = { name, faster };
          rows.push([name, plain.min.toFixed(1), screened.min.toFixed(1), `${faster.toFixed(2)} x`]);
        }
      }
    }
  }
  log(table(['', 'fp32 ms', 'screened', 'faster'], rows));
  log(`worst: ${worst.faster.toFixed(2)} x, ${worst.name}`);
}

/** Milliseconds of both in turns, for each selection; the first round is not counted. */
async function measure(backend, kind, shape, rounds) {
  const data = encodeData(shape);
  KINDS[kind](data);
  const screened = await backend.screen(data);
  const noBias = { ...data, b_enc: new Float32Array(shape.dSae) };
  const results = [];
  for (const input of [
    { ...data, selection: { kind: 'threshold' } },
    { ...noBias, selection: { kind: 'topK', k: shape.l0 } },
    { ...noBias, selection: { kind: 'batchTopK', k: shape.l0 } },
  ]) {
    const times = [[], []];
    // Results are given back after every round, and who is first gets their memory: of dense codes that is a sixth of the time.
    for (let round = -1; round < rounds; round++)
      await withPassingResults(backend, async (passing) => {
        const codes = [];
        for (const i of round % 2 === 0 ? [0, 1] : [1, 0]) {
          const work = i === 0 ? input : { ...input, screened };
          const start = performance.now();
          codes.push(await passing.encode(work));
          if (round >= 0) times[i].push(performance.now() - start);
        }
        if (round < 0) expectSameBytes(...codes);
      });
    const [plain, with8Bits] = times.map(summarize);
    results.push({ selection: input.selection.kind, plain, screened: with8Bits });
  }
  return results;
}

function expectSameBytes(plain, screened) {
  for (const key of ['rowPointers', 'latentIndices', 'values']) {
    const bytes = [plain, screened].map((codes) => Buffer.from(codes[key].buffer, codes[key].byteOffset));
    if (!bytes[0].equals(bytes[1]))
      throw new Error(`${key} differ with and without screening: nothing was timed.`);
  }
}
