/** A process that harvests the embedded model once and says how long it took and what it used. */
import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { ActivationStore } from 'monoseme/activations';
import { ModelRunner, OnnxModel } from 'monoseme/model';
import { peakMemory } from '../measure.js';

const { model: path, tokensFile, contextSize, nTokens, hook, out, dtype } = JSON.parse(process.argv[2]);
const bytes = readFileSync(tokensFile);
const tokens = new Uint32Array(bytes.buffer, bytes.byteOffset, nTokens);
const nContexts = nTokens / contextSize;
const model = await OnnxModel.open(path);
const half = dtype === 'F16';
const runner = await ModelRunner.start(model, { hook, half, threads: availableParallelism() });
const run = (part) =>
  half ? runner.halfActivations(part, contextSize) : runner.activations(part, contextSize);
const step = 8 * contextSize;
for (let i = 0; i < 8; i++) runner.recycle(await run(tokens.subarray(0, step)));
const started = performance.now();
const store = await ActivationStore.write(
  out,
  runner,
  { tokens, contextSize, nContexts, documents: [] },
  { dtype },
);
const seconds = (performance.now() - started) / 1000;
const first = [...(await store.readChunk(0)).subarray(0, 4 * store.dIn)];
await runner.close();
console.log(JSON.stringify({ seconds, peakBytes: peakMemory(), first }));
