/** The graphs run in ONNX Runtime with the numbers of the packages that wrote the dictionaries. */
import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fromBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema } from 'onnx-buf';
import ort from 'onnxruntime-node';
import { decode, encode, loadDictionary } from '../dictionary/index.ts';
import { selectBackend } from '../kernels/index.ts';
import {
  D_IN,
  D_SAE,
  dense,
  DICTIONARIES,
  dictionaryPath,
  expectClose,
  golden,
  ROWS,
} from '../testing/dictionary-fixtures.ts';
import { saveOnnx } from './index.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-onnx-'));
});
after(async () => {
  await rm(folder, { recursive: true });
});

const rows = (data: Float32Array, width: number) =>
  new ort.Tensor('float32', data, [data.length / width, width]);

/** ONNX Runtime warns of weights that no node reads. */
async function expectNoneIdle(path: string): Promise<void> {
  const { graph } = fromBinary(ModelProtoSchema, await readFile(path));
  const read = new Set(graph?.node.flatMap(({ input }) => input));
  assert.deepEqual(
    graph?.initializer.map(({ name }) => name).filter((name) => !read.has(name)),
    [],
    path,
  );
}

for (const name of DICTIONARIES) {
  test(`${name}: encoder, decoder and the whole`, async () => {
    const out = join(folder, name);
    const dictionary = await loadDictionary(dictionaryPath(name));
    if (dictionary.config.pursuit) return assert.rejects(saveOnnx(out, dictionary), { code: 'ERR_OPTION' });
    await saveOnnx(out, dictionary);
    for (const graph of ['encoder', 'decoder', 'dictionary'])
      await expectNoneIdle(join(out, `${graph}.onnx`));
    const [encoder, decoder, whole] = await Promise.all(
      ['encoder', 'decoder', 'dictionary'].map((graph) =>
        ort.InferenceSession.create(join(out, `${graph}.onnx`)),
      ),
    );
    const { x, acts, xhat } = await golden(name);
    const activations = rows(x, D_IN);
    const dataOf = async (
      session: ort.InferenceSession,
      output: string,
      feeds: Record<string, ort.Tensor>,
    ) => {
      const { [output]: tensor } = await session.run(feeds);
      assert.equal(tensor.dims[0], feeds[session.inputNames[0]].dims[0]);
      return tensor.data as Float32Array;
    };
    // Row 0 of some stands on thresholds, where the order of a sum decides: gates and thresholds are strict all the same.
    expectClose(await dataOf(encoder, 'latents', { activations }), acts, 'latents');
    assert.deepEqual(
      await dataOf(whole, 'latents', { activations }),
      await dataOf(encoder, 'latents', { activations }),
    );
    expectClose(await dataOf(whole, 'reconstructions', { activations }), xhat, 'reconstructions');
    const feeds = {
      latents: rows(acts, D_SAE),
      ...(decoder.inputNames.includes('activations') && { activations }),
    };
    expectClose(await dataOf(decoder, 'reconstructions', feeds), xhat, 'decoded');
    const one = await dataOf(encoder, 'latents', { activations: rows(x.subarray(D_IN, 2 * D_IN), D_IN) });
    expectClose(one, acts.subarray(D_SAE, 2 * D_SAE), 'one row alone');
    assert.equal(ROWS * D_SAE, acts.length);
  });
}

test('rows brought to one length, a row of zeros among them', async () => {
  const { config, weights } = await loadDictionary(dictionaryPath('saelens-standard'));
  const dictionary = { config: { ...config, normalization: 'constant_norm_rescale' as const }, weights };
  const out = join(folder, 'rescaling');
  await saveOnnx(out, dictionary);
  const session = await ort.InferenceSession.create(join(out, 'dictionary.onnx'));
  const x = (await golden('saelens-standard')).x.map((value) => 7 * value);
  x.fill(0, D_IN, 2 * D_IN);
  const { latents, reconstructions } = await session.run({ activations: rows(x, D_IN) });
  const backend = await selectBackend({ name: 'reference' });
  const codes = await encode(dictionary, backend, x, ROWS);
  expectClose(latents.data as Float32Array, dense(codes), 'latents');
  const expected = await decode(dictionary, backend, codes, x);
  expectClose(reconstructions.data as Float32Array, expected, 'reconstructions');
});
