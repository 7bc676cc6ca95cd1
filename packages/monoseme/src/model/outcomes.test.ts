import assert from 'node:assert/strict';
import { dirname } from 'node:path';
import { test } from 'node:test';
import ort from 'onnxruntime-node';
import { Random } from '../random/index.ts';
import { FIXTURE_MODELS, fixture, randomTokens } from '../testing/fixtures.ts';
import { ACTIVATIONS, cutGraph, EDITED, node } from './cut.ts';
import { ModelRunner, OnnxModel } from './index.ts';
import { makeFeeds } from './model-inputs.ts';

const POST = 'blocks.0.mlp.hook_post';
const CONTEXT = 9;
const VOCAB = 50;

/** Log-probabilities [contexts · CONTEXT][VOCAB] in f64 of the model with the hook replaced, one context at a time. */
async function logProbs(model: OnnxModel, tokens: Uint32Array, edited: Float32Array): Promise<number[][]> {
  const hook = model.resolveHook(POST).name;
  const head = { nodes: [node('Identity', ['logits'], 'out')], outputs: ['out'] };
  const [prefix, suffix] = cutGraph(model.graph, [hook], model.tensors, head);
  const extra = { session: { model_external_initializers_file_folder_path: dirname(model.path) } };
  const [first, second] = await Promise.all(
    [prefix, suffix].map(({ bytes }) => ort.InferenceSession.create(bytes, { extra, logSeverityLevel: 3 })),
  );
  const rows: number[][] = [];
  const width = edited.length / tokens.length;
  for (let start = 0; start < tokens.length; start += CONTEXT) {
    const made = makeFeeds(model.inputs, tokens.subarray(start, start + CONTEXT), CONTEXT);
    const feeds = Object.fromEntries(
      Object.entries(made).map(([name, { data, dims }]) => [
        name,
        new ort.Tensor('int64', data as never, dims),
      ]),
    );
    const pick = (names: string[]) => Object.fromEntries(names.map((name) => [name, feeds[name]]));
    const { [ACTIVATIONS]: activations, ...crossing } = await first.run(pick(prefix.modelInputs));
    const part = edited.slice(start * width, (start + CONTEXT) * width);
    const input = new ort.Tensor('float32', part, activations.dims);
    const { out } = await second.run({ ...pick(suffix.modelInputs), ...crossing, [EDITED]: input });
    const logits = Array.from(out.data as Float32Array);
    for (let i = 0; i < CONTEXT; i++) {
      const row = logits.slice(i * VOCAB, (i + 1) * VOCAB);
      const total = Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0));
      rows.push(row.map((x) => x - total));
    }
  }
  return rows;
}

const kl = (p: number[], q: number[]): number => p.reduce((sum, a, v) => sum + Math.exp(a) * (a - q[v]), 0);
const best = (row: number[]): number => row.indexOf(Math.max(...row));

for (const name of FIXTURE_MODELS) {
  test(`outcomes of edits are those of the whole distributions in f64: ${name}`, async () => {
    const model = await OnnxModel.open(fixture('models', name));
    const runner = await ModelRunner.start(model, { hook: POST, threads: 1, suffix: true });
    // 120 contexts take two calls of the prefix; the edits are of some of them, in any order, some twice.
    const { tokens } = randomTokens(120, CONTEXT);
    const batch = await runner.openBatch(tokens, CONTEXT);
    const contexts = Uint32Array.of(119, 3, 3, 0, 119, 60, 3);
    const random = new Random(4);
    const size = CONTEXT * runner.dIn;
    const edited = new Float32Array(contexts.length * size);
    contexts.forEach((context, edit) => {
      const own = batch.activations.subarray(context * size, (context + 1) * size);
      for (let i = 0; i < size; i++)
        edited[edit * size + i] = own[i] + random.normal() * (edit === 5 ? 0 : 1);
    });
    const rows = Uint32Array.of(7, 3 * CONTEXT, 2 * CONTEXT + 8, 6 * CONTEXT + 1);
    const found = await batch.outcomes(edited, { contexts, rows, topTokens: 6 });

    const chosen = Uint32Array.from(contexts, (c) => c).reduce<number[]>((all, c) => [...all, c], []);
    const texts = Uint32Array.from(
      chosen.flatMap((c) => [...tokens.subarray(c * CONTEXT, (c + 1) * CONTEXT)]),
    );
    const own = Float32Array.from(
      chosen.flatMap((c) => [...batch.activations.subarray(c * size, (c + 1) * size)]),
    );
    const before = await logProbs(model, texts, own);
    const after = await logProbs(model, texts, edited);
    let row = 0;
    for (let edit = 0; edit < contexts.length; edit++) {
      for (let i = 0; i < CONTEXT; i++, row++) {
        const place = `edit ${edit}, position ${i}`;
        close(found.divergences[row], kl(before[row], after[row]), 2e-5, place);
        assert.equal(found.agreements[row], best(before[row]) === best(after[row]) ? 1 : 0, place);
        if (i === CONTEXT - 1) continue;
        const loss = edit * (CONTEXT - 1) + i;
        close(found.losses[loss], -after[row][texts[row + 1]], 2e-5, place);
        close(found.originalLosses[loss], -before[row][texts[row + 1]], 2e-5, place);
      }
    }
    rows.forEach((at, i) => {
      const changes = after[at].map((value, v) => value - before[at][v]);
      const ascending = [...changes].sort((a, b) => a - b);
      for (let t = 0; t < 6; t++) {
        const from = i * 6 + t;
        close(found.raisedBy[from], ascending.at(-1 - t)!, 2e-5);
        close(found.loweredBy[from], ascending[t], 2e-5);
        close(changes[found.raised[from]], found.raisedBy[from], 2e-5);
        close(changes[found.lowered[from]], found.loweredBy[from], 2e-5);
      }
    });
    const untouched = found.divergences.subarray(5 * CONTEXT, 6 * CONTEXT);
    assert.ok(untouched.every((divergence) => divergence < 1e-6));
    await runner.close();
  });
}

function close(actual: number, expected: number, tolerance: number, what = ''): void {
  assert.ok(Math.abs(actual - expected) <= tolerance, `${what}: ${actual} for ${expected}`);
}

test('by default each context has one edit; no rows, no tokens; what is not there is refused', async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  const runner = await ModelRunner.start(model, { hook: POST, threads: 1, suffix: true });
  const { tokens } = randomTokens(5, 12);
  const batch = await runner.openBatch(tokens, 12);
  const zeros = new Float32Array(batch.activations.length);
  const found = await batch.outcomes(zeros);
  const losses = await batch.losses(zeros);
  losses.forEach((loss, i) => close(found.losses[i], loss, 1e-5));
  assert.deepEqual([found.raised.length, found.divergences.length, found.agreements.length], [0, 60, 60]);
  const none = await batch.outcomes(new Float32Array(), { contexts: new Uint32Array() });
  assert.equal(none.losses.length, 0);
  const rejects = (edited: Float32Array, options: object, code: string) =>
    assert.rejects(batch.outcomes(edited, options), { code });
  await rejects(new Float32Array(7), {}, 'ERR_SHAPE');
  await rejects(zeros, { contexts: Uint32Array.of(0, 1, 2, 3, 5) }, 'ERR_OPTION');
  await rejects(zeros, { rows: Uint32Array.of(60) }, 'ERR_OPTION');
  await rejects(zeros, { topTokens: 0 }, 'ERR_OPTION');
  await runner.close();
});
