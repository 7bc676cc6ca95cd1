/** SAELens's own training on the rows of a set, measured as ours is: `npm run quality -- --peers`. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { loadDictionary } from 'monoseme/dictionary';
import { throwIfAborted } from 'monoseme/errors';
import { installedPython } from './peer-environments.js';
import { cleanEnvironment } from './runner-process.js';

/** What is trained there too. */
export const PEER_ARCHITECTURES = ['topk', 'batchtopk', 'matryoshka'];

/** Behind the name of an architecture that was trained there. */
export const BY_SAELENS = ', SAELens';

/**
 * A dictionary that SAELens trained with the options of one of ours, on the same rows in the order of their chunks.
 *
 * @throws {Error} with the end of what it printed, where it fails; ERR_INTERRUPTED
 */
export async function trainedBySaeLens({ source, options, threads, signal, onStep }) {
  const folder = mkdtempSync(join(tmpdir(), 'monoseme-quality-'));
  try {
    const { architecture, dSae, batchRows, tokens, learningRate, beta2, k, prefixes, seed } = options;
    const job = { architecture, dIn: source.dIn, dSae, batchRows, learningRate, beta2, k, prefixes, seed };
    const steps = Math.floor(tokens / batchRows);
    const out = join(folder, 'sae');
    writeFileSync(join(folder, 'job.json'), JSON.stringify({ ...job, steps, threads, out }));
    const script = join(import.meta.dirname, 'peer-runners', 'train_saelens.py');
    const child = spawn(installedPython('saelens'), [script, join(folder, 'job.json')], {
      env: cleanEnvironment(),
      stdio: ['pipe', 'ignore', 'pipe'],
    });
    let printed = '';
    const kill = () => child.kill();
    signal.addEventListener('abort', kill);
    child.stderr.on('data', (data) => (printed = (printed + data).slice(-2000)));
    const ended = once(child, 'close');
    // Where the process ends early, what it printed says why.
    await pipeline(Readable.from(bytesOf(source, steps, batchRows, onStep)), child.stdin).catch(() => {});
    const [code] = await ended;
    signal.removeEventListener('abort', kill);
    throwIfAborted(signal);
    if (code !== 0) throw new Error(`SAELens: ${printed.trim().split('\n').at(-1)} (code ${code})`);
    return await loadDictionary(out);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The rows of some steps as bytes, in the order of a source's chunks: as fast as they are read, so that steps can be counted. */
async function* bytesOf(source, steps, batchRows, onStep) {
  for (let chunk = 0, left = steps * batchRows; left > 0; chunk++) {
    const rows = (await source.readChunk(chunk)).subarray(0, left * source.dIn);
    left -= rows.length / source.dIn;
    onStep(steps - Math.ceil(left / batchRows), steps);
    yield Buffer.from(rows.buffer, rows.byteOffset, rows.byteLength);
  }
}
