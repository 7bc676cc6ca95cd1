import ort from 'onnxruntime-node';
import { ACTIVATIONS, EDITED } from './cut.ts';
import { gatherContexts, gatherTokenRows, gatherTokens, isPerContext, runsOf } from './gather-contexts.ts';
import { free_ } from './free-memory.ts';
import { makeFeeds } from './model-inputs.ts';
import { ORIGINAL_ROWS, ORIGINALS, TOP } from './outcome-head.ts';
import type { Outcomes } from './outcomes.ts';
import { type SuffixBatch, suffixBatches } from './suffix-batches.ts';
import { LOG_PROBS, ROW_WEIGHTS, ROWS, TARGETS, WEIGHTED_LOGITS } from './suffix-heads.ts';
import { type AskedOutcomes, emptyOutcomes, listedRows, takeOutcomes } from './take-outcomes.ts';
import type { Axis } from './tensor-shapes.ts';
import { TOKEN_OUTCOME } from './token-outcome-head.ts';
import type { TokenEdits, TokenOutcomes } from './token-outcomes.ts';
import type { Handlers, SessionName, SuffixName } from './worker-messages.ts';
import { native, sessions } from './worker-sessions.ts';
import { floats, halves, int64Tensor, joined, targetTensor, toTensors } from './worker-tensors.ts';

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

/** As many as readers that work ahead have on their way: one is computed, two are read ahead, one is encoded, one looked at. */
const MOST_LENT = 6;

/** Memory that was given back. */
const spare: ArrayBufferLike[] = [];
let nShared = 0;
/** What a session that harvests gave last. */
const written = new WeakMap<
  ort.InferenceSession,
  { nTokens: number; contextSize: number; activations: ort.Tensor }
>();
const batches = new Map<number, Batch>();
let nextBatch = 0;

/** Contexts that go through a model cut at one tensor. */
export const batchHandlers: Handlers<
  | 'activations'
  | 'halfActivations'
  | 'recycle'
  | 'openBatch'
  | 'losses'
  | 'nudge'
  | 'outcomes'
  | 'tokenOutcomes'
  | 'closeBatch'
> = {
  async activations(request) {
    return new Float32Array(await harvested('harvest', request));
  },

  async halfActivations(request) {
    return new Uint16Array(await harvested('harvest-half', request));
  },

  async recycle({ memory }) {
    spare.push(memory);
    if (spare.length > MOST_LENT && spare.shift() instanceof SharedArrayBuffer) nShared--;
  },

  async openBatch({ tokens, contextSize, perRun }) {
    const runs: Run[] = [];
    for (const run of runsOf(tokens, contextSize, perRun)) runs.push(await runPrefix(run, contextSize));
    const batch = nextBatch++;
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
};

/** Activations of contexts, one run after the other, in memory that was given back where there is some. */
async function harvested(
  name: 'harvest' | 'harvest-half',
  { tokens, contextSize, perRun }: { tokens: Uint32Array; contextSize: number; perRun: number },
): Promise<ArrayBufferLike> {
  const [Type, read] = name === 'harvest' ? [Float32Array, floats] : [Uint16Array, halves];
  let memory: ArrayBufferLike | undefined;
  let row = 0;
  for (const run of runsOf(tokens, contextSize, perRun)) {
    const values = read(await harvestedRun(name, run, contextSize));
    const width = values.length / run.length;
    memory ??= memoryOf(tokens.length * width * Type.BYTES_PER_ELEMENT);
    new Type(memory as ArrayBuffer).set(values, row * width);
    row += run.length;
  }
  free_([tokens]);
  return memory!;
}

/** Activations of one run, until the next: written over those of a run before that was as large, so that nothing is copied. */
async function harvestedRun(
  name: 'harvest' | 'harvest-half',
  tokens: Uint32Array,
  contextSize: number,
): Promise<ort.Tensor> {
  const { session } = sessions.get(name)!;
  const last = written.get(session);
  const isAsLarge = last?.nTokens === tokens.length && last.contextSize === contextSize;
  const output = isAsLarge ? { [ACTIVATIONS]: last.activations } : undefined;
  const { [ACTIVATIONS]: activations } = await runPart(name, tokens, contextSize, {}, output);
  written.set(session, { nTokens: tokens.length, contextSize, activations });
  return activations;
}

/**
 * Memory of so many bytes: what was given back; else memory that both threads share, which V8 does not count. What is handed
 * over it counts as new, so that megabytes that go to and fro have it look for garbage several times a second. A reader that
 * gives nothing back gets ordinary memory in the end, which is collected.
 */
function memoryOf(bytes: number): ArrayBufferLike {
  const at = spare.findIndex(({ byteLength }) => byteLength === bytes);
  if (at >= 0) return spare.splice(at, 1)[0];
  if (nShared === MOST_LENT) return new ArrayBuffer(bytes);
  nShared++;
  return new SharedArrayBuffer(bytes);
}

/** Run a session on the model's inputs for some tokens and on what it reads of `tensors`; all it gives, or what goes to `output`. */
async function runPart(
  name: SessionName,
  tokens: Uint32Array,
  contextSize: number,
  tensors: Record<string, ort.Tensor>,
  output?: Record<string, ort.Tensor>,
): Promise<Record<string, ort.Tensor>> {
  const { session, spec } = sessions.get(name)!;
  const made = makeFeeds(spec.inputs, tokens, contextSize);
  const feeds = toTensors(made);
  for (const input of session.inputNames) feeds[input] ??= tensors[input];
  const outputs = await native(() => (output ? session.run(feeds, output) : session.run(feeds)));
  free_(Object.values(made).map(({ data }) => data));
  return outputs;
}

async function runPrefix(tokens: Uint32Array, contextSize: number): Promise<Run> {
  const outputs = await runPart('prefix', tokens, contextSize, {});
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
  if (![...reads.values()].every(isPerContext)) return runPrefix(tokens, contextSize);
  const rows = run.activations.dims[0] * contextSize === run.tokens.length ? 'batch' : 'batch*sequence';
  const tensors: Record<string, ort.Tensor> = {};
  for (const [name, shape] of reads) tensors[name] = gather(run.tensors[name], shape);
  return { tokens, activations: gather(run.activations, [rows]), tensors };
}
