import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Random } from '../random/index.ts';
import { cutGraph } from './cut.ts';
import { type Feed, fixedSizes, makeArrayFeeds, makeFeeds } from './model-inputs.ts';
import { loadPart } from './model-session.ts';
import type { OnnxModel } from './onnx-model.ts';
import { outputsHead } from './suffix-heads.ts';
import { WorkerClient } from './worker-client.ts';

/** Tokens of the text that is tried: places enough for what grows with them, as angles of rotations do. */
const TOKENS = 64;

/** How a model runs on its device. */
export interface DeviceComparison {
  /** Nodes that the device computed. */
  readonly nOnDevice: number;
  /** Operators of the nodes that ran on the CPU: each as often as there are nodes of it. */
  readonly onCpu: readonly string[];
  /** max |device − CPU| / max |CPU| of an output of floating point, the largest of all; 0 where there is none. */
  readonly difference: number;
}

/**
 * Run a model on its device and on the CPU, on a short text of random tokens or on one random sample.
 *
 * @throws {MonosemeError} ERR_MODEL, ERR_MEMORY
 */
export async function compareWithCpu(model: OnnxModel): Promise<DeviceComparison> {
  const folder = await mkdtemp(join(tmpdir(), 'monoseme-device-'));
  const worker = new WorkerClient();
  const feeds = trialFeeds(model);
  const head = outputsHead(model.graph, model.tensors);
  const run = async (options: { device?: 'cpu'; profile?: string }) => {
    const [whole] = cutGraph(model.graph, [], model.tensors, head);
    await loadPart(worker, model, 'part 0', whole, 1, options);
    const read = Object.fromEntries(whole.modelInputs.map((name) => [name, feeds[name]]));
    const found = await worker.ask('runFeeds', { session: 'part 0', feeds: read });
    await worker.ask('unload', { session: 'part 0' });
    return found;
  };
  try {
    const expected = await run({ device: 'cpu' });
    const found = await run({ profile: join(folder, 'profile') });
    const outputs = [...head.names.keys()];
    const off = outputs.map((name) => difference(found[name].values, expected[name].values));
    return { ...(await placement(folder)), difference: Math.max(0, ...off) };
  } finally {
    await worker.close();
    await rm(folder, { recursive: true, force: true });
  }
}

function trialFeeds(model: OnnxModel): Record<string, Feed> {
  const random = new Random(0);
  const { batch = 1, sequence } = fixedSizes(model.inputs);
  if (model.readsTokens) {
    const length = sequence ?? Math.min(TOKENS, model.contextSize ?? TOKENS);
    const rows = model.embeddingRows ?? 1;
    const tokens = Uint32Array.from({ length: batch * length }, () => random.integer(rows));
    return makeFeeds(model.inputs, tokens, length);
  }
  const samples = model.inputs.flatMap(({ role, name, sizes }) => {
    const n = sizes.reduce((product, size) => product * size, batch);
    return role === 'samples' ? [[name, Float32Array.from({ length: n }, () => random.uniform())]] : [];
  });
  return makeArrayFeeds(model.inputs, batch, Object.fromEntries(samples));
}

function difference(found: Float32Array, expected: Float32Array): number {
  let largest = 0;
  let off = 0;
  expected.forEach((value, i) => {
    largest = Math.max(largest, Math.abs(value));
    off = Math.max(off, Math.abs(found[i] - value));
  });
  return off === 0 ? 0 : off / largest;
}

interface ProfileEvent {
  readonly cat?: string;
  readonly name?: string;
  readonly args?: { readonly provider?: string; readonly op_name?: string };
}

/** Which nodes ran where, by ONNX Runtime's profile of one run; copies to and from the device are none. */
async function placement(folder: string): Promise<Omit<DeviceComparison, 'difference'>> {
  const [file] = await readdir(folder);
  const events = JSON.parse(await readFile(join(folder, file), 'utf8')) as ProfileEvent[];
  const onCpu: string[] = [];
  let nOnDevice = 0;
  for (const { cat, name = '', args } of events) {
    const { provider, op_name: op = '' } = args ?? {};
    if (cat !== 'Node' || !name.endsWith('_kernel_time') || op.startsWith('Memcpy')) continue;
    if (provider === 'CPUExecutionProvider') onCpu.push(op);
    else nOnDevice++;
  }
  return { nOnDevice, onCpu };
}
