import { parentPort, workerData } from 'node:worker_threads';
import ort from 'onnxruntime-node';
import { MonosemeError } from '../errors.ts';
import { ACTIVATIONS, EDITED, editedInput, oneNode } from './cut.ts';
import { makeArrayFeeds, makeFeeds, readsTokens } from './model-inputs.ts';
import { gatherContexts, gatherTokenRows, gatherTokens, isPerContext, runsOf } from './gather-contexts.ts';
import { ORIGINAL_ROWS, ORIGINALS, TOP } from './outcome-head.ts';
import { type AskedOutcomes, emptyOutcomes, listedRows, takeOutcomes } from './take-outcomes.ts';
import type { Outcomes } from './outcomes.ts';
import { type SuffixBatch, suffixBatches } from './suffix-batches.ts';
import { LOG_PROBS, ROW_WEIGHTS, ROWS, TARGETS, WEIGHTED_LOGITS } from './suffix-heads.ts';
import { asMonosemeError } from './runtime-error.ts';
import { type AnswerMessage, GUARD, type Op, type RequestMessage, transferList } from './worker-messages.ts';
import {
  floats,
  floatTensors,
  halves,
  int64Tensor,
  joined,
  targetTensor,
  toTensors,
} from './worker-tensors.ts';
import { TOKEN_OUTCOME } from './token-outcome-head.ts';
import type { TokenEdits, TokenOutcomes } from './token-outcomes.ts';
import type { Axis } from './tensor-shapes.ts';
import type { SessionName, SessionSpec, SuffixName } from './worker-messages.ts';
import type { AnswerOf, RequestOf } from './worker-messages.ts';

/**
 * The thread in which ONNX Runtime works: its `run` blocks the thread that calls it. Requests are answered
 * one after the other, in the order in which they came.
 */

interface Session {
  spec: SessionSpec;
  session: ort.InferenceSession;
}

/** Some contexts that went through the prefix together, with all that a suffix needs to go on from there. */
interface Run {
  tokens: Uint32Array;
  activations: ort.Tensor;
  /** What crosses the cut. */
  tensors: Record<string, ort.Tensor>;
}

interface Batch {
  contextSize: number;
  /** Contexts that go through the model together. */
  perRun: number;
  runs: Run[];
}

/** Edited tokens of one call of the suffix: a vocabulary of numbers for each, several times over. */
const EDITS_PER_RUN = 256;
/** A batch on its way through the parts of a model. */
interface Pass {
  /** The model's inputs, what the parts so far gave, and edited activations by the name of their input. */
  tensors: Record<string, ort.Tensor>;
  /** Sizes of the activations that the last part gave. */
  dims: readonly number[];
}

const guard: Int32Array = workerData;

const sessions = new Map<SessionName, Session>();
const batches = new Map<number, Batch>();
const passes = new Map<number, Pass>();
let nextNumber = 0;

const handlers: { [K in Op]: (request: RequestOf<K>) => Promise<AnswerOf<K>> } = {
  async inspect({ session: spec, probes }) {
    const session = await createSession(spec);
    const names = session.outputMetadata.flatMap((output) => (output.isTensor ? [output.name] : []));
    const found = new Map(names.map((name) => [name, { name, type: '', sizes: [] as number[][] }]));
    for (const [batch, sequence] of probes) {
      const feeds = toTensors(
        readsTokens(spec.inputs)
          ? makeFeeds(spec.inputs, new Uint32Array(batch * sequence), sequence)
          : makeArrayFeeds(spec.inputs, batch),
      );
      for (const [name, tensor] of Object.entries(await native(() => session.run(feeds, names)))) {
        found.get(name)!.type = tensor.type;
        found.get(name)!.sizes.push([...tensor.dims]);
      }
    }
    await native(() => session.release());
    return [...found.values()];
  },

  async expectDevice({ device }) {
    try {
      const session = await native(() =>
        ort.InferenceSession.create(oneNode(), { executionProviders: [device], logSeverityLevel: 4 }),
      );
      await native(() => session.run({ x: new ort.Tensor('float32', [1], [1]) }));
      await native(() => session.release());
    } catch (error) {
      const offered = ort.listSupportedBackends().map(({ name }) => name);
      const text = error instanceof Error ? error.message : String(error);
      // Behind the place in the runtime's source and the check that failed.
      const message = text
        .split('\n')[0]
        .replace(/^.*was false\. /, '')
        .slice(0, 200);
      throw new MonosemeError(
        'ERR_OPTION',
        `The device ${device} cannot be used here: ${offered.includes(device) ? message : 'ONNX Runtime is built without it'}.`,
        `This build of ONNX Runtime knows ${offered.join(', ')}; cpu always runs.`,
      );
    }
  },

  async runFeeds({ session: name, feeds }) {
    const { session } = sessions.get(name)!;
    return floatTensors(await native(() => session.run(toTensors(feeds))));
  },

  async load({ as, session: spec }) {
    sessions.set(as, { spec, session: await createSession(spec) });
    spec.bytes = new Uint8Array();
  },

  async activations({ tokens, contextSize, perRun }) {
    const all: Float32Array[] = [];
    for (const run of runsOf(tokens, contextSize, perRun))
      all.push(floats((await runPrefix('harvest', run, contextSize)).activations));
    return joined(all);
  },

  async halfActivations({ tokens, contextSize, perRun }) {
    const all: Uint16Array[] = [];
    for (const run of runsOf(tokens, contextSize, perRun))
      all.push(halves((await runPrefix('harvest-half', run, contextSize)).activations));
    return joined(all, Uint16Array);
  },

  async openBatch({ tokens, contextSize, perRun }) {
    const runs: Run[] = [];
    for (const run of runsOf(tokens, contextSize, perRun))
      runs.push(await runPrefix('prefix', run, contextSize));
    const batch = nextNumber++;
    batches.set(batch, { contextSize, perRun, runs });
    return { batch, activations: joined(runs.map((run) => floats(run.activations))) };
  },

  async losses({ batch, edited }) {
    const { contextSize, runs } = batches.get(batch)!;
    const width = edited.length / runs.reduce((sum, { tokens }) => sum + tokens.length, 0);
    const losses: Float32Array[] = [];
    let row = 0;
    for (const run of runs) {
      const rows = edited.subarray(row * width, (row + run.tokens.length) * width);
      row += run.tokens.length;
      const targets = { [TARGETS]: targetTensor(run.tokens, contextSize) };
      losses.push(floats((await runSuffix('losses', run, contextSize, rows, targets))[LOG_PROBS]));
    }
    return joined(losses).map((logProb) => -logProb);
  },

  async nudge({ batch, dimension, steps, rowWeights }) {
    const { contextSize, runs } = batches.get(batch)!;
    const [run] = runs;
    const rows = floats(run.activations);
    const width = rows.length / run.tokens.length;
    const nudged = [...steps.keys()].map((context) => ((context + 1) * contextSize - 1) * width + dimension);
    const before = nudged.map((at) => rows[at]);
    nudged.forEach((at, context) => (rows[at] += steps[context]));
    const weights = { [ROW_WEIGHTS]: new ort.Tensor('float32', rowWeights, [1, rowWeights.length]) };
    const found = await runSuffix('last-logits', run, contextSize, rows, weights);
    nudged.forEach((at, context) => (rows[at] = before[context]));
    return floats(found[WEIGHTED_LOGITS]).slice();
  },

  async outcomes({ batch: id, edited, contexts, rows, top }) {
    const batch = batches.get(id)!;
    const { contextSize, perRun, runs } = batch;
    const asked = { edited, rows, top, contextSize };
    const outcomes = emptyOutcomes(contexts.length, asked);
    for (const [i, run] of runs.entries()) {
      // Contexts of one call of the suffix are of one call of the prefix.
      const edits = [...contexts.keys()].filter((edit) => Math.floor(contexts[edit] / perRun) === i);
      const within = edits.map((edit) => contexts[edit] - i * perRun);
      for (const part of suffixBatches(within, Math.max(2, perRun))) {
        const numbered = { ...part, edits: part.edits.map((edit) => (edit < 0 ? -1 : edits[edit])) };
        await addOutcomes(outcomes, run, asked, numbered);
      }
    }
    return outcomes;
  },

  async tokenOutcomes({ batch, edits }) {
    const { contextSize, perRun, runs } = batches.get(batch)!;
    const { rows, topTokens } = edits;
    const outcomes = {
      lossChanges: new Float32Array(rows.length),
      divergences: new Float32Array(rows.length),
      raised: new Uint32Array(rows.length * topTokens),
      raisedBy: new Float32Array(rows.length * topTokens),
      lowered: new Uint32Array(rows.length * topTokens),
      loweredBy: new Float32Array(rows.length * topTokens),
    };
    const rowsPerRun = perRun * contextSize;
    for (const [i, run] of runs.entries()) {
      const mine = [...rows.keys()].filter((edit) => Math.floor(rows[edit] / rowsPerRun) === i);
      for (let start = 0; start < mine.length; start += EDITS_PER_RUN)
        await addTokenOutcomes(
          outcomes,
          run,
          edits,
          mine.slice(start, start + EDITS_PER_RUN),
          i * rowsPerRun,
        );
    }
    return outcomes;
  },

  async closeBatch({ batch }) {
    batches.delete(batch);
  },

  async unload({ session: name }) {
    await native(async () => sessions.get(name)?.session.release());
    sessions.delete(name);
  },

  async openPass({ feeds }) {
    passes.set(nextNumber, { tensors: toTensors(feeds), dims: [] });
    return nextNumber++;
  },

  async nextPart({ pass: number, part, edited, rows }) {
    const pass = passes.get(number)!;
    const { tensors } = pass;
    if (edited) tensors[editedInput(edited.hook)] = new ort.Tensor('float32', edited.values, pass.dims);
    if (rows) tensors[ROWS] = int64Tensor(rows);
    const { session, spec } = sessions.get(part)!;
    const fed = session.inputNames.map((name) => [name, tensors[name]]);
    const outputs = await native(() => session.run(Object.fromEntries(fed)));
    const found: Record<string, ort.Tensor> = {};
    for (const [name, tensor] of Object.entries(outputs))
      (spec.gives.includes(name) ? tensors : found)[name] = tensor;
    pass.dims = found[ACTIVATIONS]?.dims ?? [];
    return floatTensors(found);
  },

  async closePass({ pass }) {
    passes.delete(pass);
  },
};

function createSession({
  bytes,
  folder,
  threads,
  device,
  optimize,
}: SessionSpec): Promise<ort.InferenceSession> {
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: device === 'cpu' ? ['cpu'] : [device, 'cpu'],
    intraOpNumThreads: threads,
    graphOptimizationLevel: optimize ? 'all' : 'disabled',
    logSeverityLevel: 3,
    extra: {
      session: {
        model_external_initializers_file_folder_path: folder,
        // Idle threads would spin and take the cores that the trainer works on between two runs.
        intra_op: { allow_spinning: '0' },
      },
    },
  };
  return native(() => ort.InferenceSession.create(bytes, options));
}

/** Make a native call unless the process is ending; see {@link GUARD}. */
async function native<T>(call: () => Promise<T>): Promise<T> {
  Atomics.store(guard, GUARD.BUSY, 1);
  try {
    if (Atomics.load(guard, GUARD.STOP) === 1)
      throw new MonosemeError('ERR_INTERRUPTED', 'The process is ending.', '');
    return await call();
  } finally {
    Atomics.store(guard, GUARD.BUSY, 0);
    Atomics.notify(guard, GUARD.BUSY);
  }
}

/** Run a session on the model's inputs for some tokens and on what it reads of `tensors`. */
async function runPart(
  name: SessionName,
  tokens: Uint32Array,
  contextSize: number,
  tensors: Record<string, ort.Tensor>,
): Promise<Record<string, ort.Tensor>> {
  const { session } = sessions.get(name)!;
  const feeds = toTensors(makeFeeds(sessions.get(name)!.spec.inputs, tokens, contextSize));
  for (const input of session.inputNames) feeds[input] ??= tensors[input];
  return native(() => session.run(feeds));
}

async function runPrefix(
  name: 'harvest' | 'harvest-half' | 'prefix',
  tokens: Uint32Array,
  contextSize: number,
): Promise<Run> {
  const outputs = await runPart(name, tokens, contextSize, {});
  const { [ACTIVATIONS]: activations, ...tensors } = outputs;
  return { tokens, activations, tensors };
}

async function runSuffix(
  name: SuffixName,
  run: Run,
  contextSize: number,
  rows: Float32Array,
  further: Record<string, ort.Tensor>,
): Promise<Record<string, ort.Tensor>> {
  const edited = new ort.Tensor('float32', rows, run.activations.dims);
  return runPart(name, run.tokens, contextSize, { ...run.tensors, ...further, [EDITED]: edited });
}

/** Run one call of the suffix and put what it says where it belongs. */
async function addOutcomes(
  outcomes: Outcomes,
  run: Run,
  asked: AskedOutcomes,
  batch: SuffixBatch,
): Promise<void> {
  const { edited, contextSize, top } = asked;
  const part = await runOfContexts(run, contextSize, batch.contexts);
  const activations = floats(part.activations);
  const width = activations.length / batch.contexts.length;
  batch.edits.forEach((edit, row) => {
    if (edit >= 0) activations.set(edited.subarray(edit * width, (edit + 1) * width), row * width);
  });
  const { listed, rows, originalRows } = listedRows(asked, batch);
  const found = await runSuffix('outcomes', part, contextSize, activations, {
    [TARGETS]: targetTensor(part.tokens, contextSize),
    [ORIGINALS]: int64Tensor(batch.originals),
    // The runtime's TopK crashes on no rows.
    [ROWS]: int64Tensor(listed.length > 0 ? rows : [0]),
    [ORIGINAL_ROWS]: int64Tensor(listed.length > 0 ? originalRows : [0]),
    [TOP]: int64Tensor([top]),
  });
  takeOutcomes(outcomes, found, asked, batch, listed);
}

/**
 * One call of the suffix over single tokens: those edited as they are, each once, then the edits.
 *
 * @param edits numbers of the edits, all of this run
 * @param firstRow the batch's row with which the run begins
 */
async function addTokenOutcomes(
  outcomes: TokenOutcomes,
  run: Run,
  { rows, targets, edited, topTokens }: TokenEdits,
  edits: number[],
  firstRow: number,
): Promise<void> {
  const within = edits.map((edit) => rows[edit] - firstRow);
  const originals = [...new Set(within)];
  const place = new Map(originals.map((row, i) => [row, i]));
  const gathered = Uint32Array.from([...originals, ...within]);
  const { spec } = sessions.get('token-outcomes')!;
  const shape =
    run.activations.dims.length === 2 ? (['batch*sequence'] as const) : (['batch', 'sequence'] as const);
  const activations = gatherTokenRows(run.activations, shape, gathered);
  const values = floats(activations);
  const width = values.length / gathered.length;
  edits.forEach((edit, i) =>
    values.set(edited.subarray(edit * width, (edit + 1) * width), (originals.length + i) * width),
  );
  const tensors: Record<string, ort.Tensor> = {};
  for (const [name, axes] of spec.reads) tensors[name] = gatherTokenRows(run.tensors[name], axes, gathered);
  const tokens = Uint32Array.from(gathered, (row) => run.tokens[row]);
  const found = await runSuffix('token-outcomes', { tokens, activations, tensors }, 1, values, {
    [TARGETS]: int64Tensor(edits.map((edit) => targets[edit])).reshape([edits.length, 1]),
    [ROWS]: int64Tensor(edits.map((_, i) => originals.length + i)),
    [ORIGINAL_ROWS]: int64Tensor(within.map((row) => place.get(row)!)),
    [TOP]: int64Tensor([topTokens]),
  });
  const take = (output: string) => found[output].data as ArrayLike<number | bigint>;
  edits.forEach((edit, i) => {
    outcomes.lossChanges[edit] = -Number(take(TOKEN_OUTCOME.targetChanges)[i]);
    outcomes.divergences[edit] = Math.max(0, Number(take(TOKEN_OUTCOME.divergences)[i]));
    for (const name of ['raised', 'raisedBy', 'lowered', 'loweredBy'] as const) {
      for (let t = 0; t < topTokens; t++)
        outcomes[name][edit * topTokens + t] = Number(take(TOKEN_OUTCOME[name])[i * topTokens + t]);
    }
  });
}

/**
 * Contexts of a run, in any order and number, as if they had gone through the prefix together. Where it is not
 * known which part of a crossing tensor belongs to which context, they do go through it again.
 */
async function runOfContexts(run: Run, contextSize: number, contexts: Uint32Array): Promise<Run> {
  const { reads } = sessions.get('outcomes')!.spec;
  const gather = (tensor: ort.Tensor, shape: readonly Axis[]) =>
    gatherContexts(tensor, shape, contextSize, contexts);
  const tokens = gatherTokens(run.tokens, contextSize, contexts);
  if (![...reads.values()].every(isPerContext)) return runPrefix('prefix', tokens, contextSize);
  const rows = run.activations.dims[0] * contextSize === run.tokens.length ? 'batch' : 'batch*sequence';
  const tensors: Record<string, ort.Tensor> = {};
  for (const [name, shape] of reads) tensors[name] = gather(run.tensors[name], shape);
  return { tokens, activations: gather(run.activations, [rows]), tensors };
}

let queue: Promise<void> = Promise.resolve();
parentPort!.on('message', (message: RequestMessage | 'close') => {
  queue = queue.then(async () => {
    if (message === 'close') {
      for (const { session } of sessions.values()) await native(() => session.release());
      parentPort!.close();
      return;
    }
    const { id, op, request } = message;
    try {
      const answer = await (handlers[op] as (request: unknown) => Promise<unknown>)(request);
      parentPort!.postMessage({ id, answer } satisfies AnswerMessage, transferList(answer));
    } catch (error) {
      const { code, what, advice } = asMonosemeError(error);
      parentPort!.postMessage({ id, error: { code, what, advice } } satisfies AnswerMessage);
    }
  });
});
