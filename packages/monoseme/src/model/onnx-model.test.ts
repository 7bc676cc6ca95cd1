import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, open, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  type ModelProto,
  ModelProtoSchema,
  NodeProtoSchema,
  TensorProtoSchema,
  ValueInfoProtoSchema,
} from 'onnx-buf';
import { fixture } from '../testing/fixtures.ts';
import { valueInfo } from './cut.ts';
import { HookedModel, ModelRunner, OnnxModel } from './index.ts';
import { nearestNames } from '../nearest-names.ts';
import { axesOf, rowWidth } from './tensor-shapes.ts';

const folder = await mkdtemp(join(tmpdir(), 'monoseme-model-'));
after(() => rm(folder, { recursive: true }));

/** The tiny model with a change, in a file of its own. */
async function changed(name: string, change: (model: ModelProto) => void): Promise<string> {
  const model = fromBinary(ModelProtoSchema, await readFile(fixture('models/one-layer/model.onnx')));
  change(model);
  const path = join(folder, `${name}.onnx`);
  await writeFile(path, toBinary(ModelProtoSchema, model));
  return path;
}

test('a model that has TransformerLens names: the aliases found are those names', async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  // No alias is needed, because each stands at the tensor of that name; found by shape all the same.
  const { findAliases } = await import('./aliases.ts');
  const found = findAliases(model.graph, model.tensors);
  for (const hook of ['hook_resid_pre', 'hook_attn_out', 'hook_resid_mid', 'hook_mlp_out', 'hook_resid_post'])
    assert.equal(found.get(`blocks.0.${hook}`), `blocks.0.${hook}`);
  for (const hook of ['mlp.hook_pre', 'mlp.hook_post'])
    assert.equal(found.get(`blocks.0.${hook}`), `blocks.0.${hook}`);
  assert.equal(found.get('hook_embed'), 'hook_embed');
  assert.equal(model.resolveHook('blocks.0.mlp.hook_post').alias, undefined);
});

test('aliases in exported graphs: each is the tensor that the exporter named after the module', async () => {
  const model = await OnnxModel.open(fixture('models/gpt-two-layer-torchscript'));
  const tensor = (alias: string) => model.resolveHook(alias).name;
  for (const block of [0, 1]) {
    assert.equal(tensor(`blocks.${block}.hook_attn_out`), `/blocks.${block}/attn/out/Add_output_0`);
    assert.equal(tensor(`blocks.${block}.hook_mlp_out`), `/blocks.${block}/mlp/down/Add_output_0`);
    assert.equal(tensor(`blocks.${block}.mlp.hook_pre`), `/blocks.${block}/mlp/up/Add_output_0`);
    assert.equal(tensor(`blocks.${block}.hook_resid_mid`), `/blocks.${block}/Add_output_0`);
    assert.equal(tensor(`blocks.${block}.hook_resid_post`), `/blocks.${block}/Add_1_output_0`);
  }
  assert.equal(tensor('blocks.1.hook_resid_pre'), tensor('blocks.0.hook_resid_post'));
  assert.deepEqual(model.resolveHook('blocks.1.hook_resid_pre').aliases, [
    'blocks.0.hook_resid_post',
    'blocks.1.hook_resid_pre',
  ]);
  assert.equal(model.resolveHook('blocks.0.mlp.hook_post').dIn, 24);
  assert.equal(model.resolveHook('hook_pos_embed').name, '/pos/Gather_output_0');
});

test('a gated MLP: hook_post is the product that the last matrix reads', async () => {
  const model = await OnnxModel.open(fixture('models/llama-two-layer'));
  const post = model.resolveHook('blocks.1.mlp.hook_post');
  assert.deepEqual([post.op, post.dIn], ['Mul', 24]);
  assert.equal(
    model.graph.consumers(post.name)[0].output[0],
    model.resolveHook('blocks.1.hook_mlp_out').name,
  );
});

test('a parallel block has no middle of the stream', async () => {
  const model = await OnnxModel.open(fixture('models/neox-two-layer-torchscript'));
  assert.equal(model.resolveHook('blocks.1.hook_attn_out').name, '/blocks.1/attn/out/Add_output_0');
  assert.equal(model.resolveHook('blocks.1.hook_mlp_out').name, '/blocks.1/mlp/down/Add_output_0');
  assert.throws(() => model.resolveHook('blocks.0.hook_resid_mid'), { code: 'ERR_HOOK' });
});

test('shapes are learnt from the model itself', async () => {
  const model = await OnnxModel.open(fixture('models/gpt-two-layer'));
  assert.deepEqual(model.resolveHook('blocks.0.mlp.hook_post').shape, ['batch', 'sequence', 24]);
  assert.deepEqual(model.tensors.get('softmax')!.shape, ['batch', 2, 'sequence', 'sequence']);
  assert.deepEqual(model.logits, { name: 'logits', vocabSize: 50 });
  assert.equal(model.embeddingRows, 50);
  assert.equal(model.contextSize, 12);
  assert.deepEqual([model.name, model.tokenizerPath], ['gpt-two-layer', undefined]);
});

test('axes are told by how they change', () => {
  assert.deepEqual(axesOf([2, 3, 16, 6, 8], [3, 5, 16, 15, 12]), [
    'batch',
    'sequence',
    16,
    'batch*sequence',
    '?',
  ]);
  assert.deepEqual(axesOf([1, 3, 16], [1, 5, 16], { batch: 1 }), ['batch', 'sequence', 16]);
  assert.equal(rowWidth(['batch', 'sequence', 4, 32]), 128);
  assert.equal(rowWidth(['batch*sequence', 16]), 16);
  for (const shape of [
    ['batch', 4, 'sequence', 32],
    ['sequence', 16],
    ['batch', 'sequence'],
    ['batch', 16],
  ] as const)
    assert.equal(rowWidth(shape), undefined);
});

test('a name that is not there: the error has the nearest ones', async () => {
  const model = await OnnxModel.open(fixture('models/gpt-two-layer'));
  assert.throws(() => model.resolveHook('blocks.0.mlp.hook_pots'), {
    code: 'ERR_HOOK',
    message: /no tensor "blocks\.0\.mlp\.hook_pots"\. The nearest are: blocks\.0\.mlp\.hook_post, /,
  });
  assert.throws(() => model.resolveHook('softmax'), { code: 'ERR_HOOK', message: /no fixed size/ });
  assert.throws(() => model.resolveHook(''), { code: 'ERR_HOOK' });
  assert.deepEqual(nearestNames('hook_mlp_out', ['a', 'blocks.0.hook_mlp_out', 'hook_mlp_oot'], 2), [
    'blocks.0.hook_mlp_out',
    'hook_mlp_oot',
  ]);
});

test('a hook inside the body of an If or a Loop is refused, naming what the node gives', async () => {
  const path = await changed('bodies', ({ graph }) => {
    const body = (inner: string, name: string) =>
      create(GraphProtoSchema, {
        name,
        node: [create(NodeProtoSchema, { opType: 'Neg', input: ['hook_embed'], output: [inner] })],
        output: [create(ValueInfoProtoSchema, { name: inner })],
      });
    const branch = (name: string, inner: string) =>
      create(AttributeProtoSchema, { name, type: AttributeProto_AttributeType.GRAPH, g: body(inner, name) });
    graph!.initializer.push(create(TensorProtoSchema, { name: 'yes', dataType: 9, int32Data: [1] }));
    graph!.node.push(
      create(NodeProtoSchema, {
        opType: 'If',
        name: 'choice',
        input: ['yes'],
        output: ['chosen'],
        attribute: [branch('then_branch', 'inside_then'), branch('else_branch', 'inside_else')],
      }),
    );
    graph!.output.push(create(ValueInfoProtoSchema, { name: 'chosen' }));
  });
  const model = await OnnxModel.open(path);
  assert.deepEqual(model.resolveHook('chosen').shape, ['batch', 'sequence', 16]);
  for (const hook of ['inside_then', 'inside_else'])
    assert.throws(() => model.resolveHook(hook), {
      code: 'ERR_HOOK',
      message: /inside the body of If "choice", which runs as one\. Hook what that gives: chosen\./,
    });
  const hooked = new HookedModel(model, { threads: 1 });
  const tokens = Uint32Array.of(1, 2, 3);
  const { logits, chosen } = await hooked.outputs({
    tokens,
    contextSize: 3,
    hooks: { hook_embed: () => {} },
  });
  assert.deepEqual(
    [logits.dims, chosen.dims],
    [
      [1, 3, 50],
      [1, 3, 16],
    ],
  );
  await hooked.close();
});

test('the vocabulary must fit the embedding', async () => {
  const model = await OnnxModel.open(fixture('models/one-layer'));
  model.expectVocabulary(50);
  assert.throws(() => model.expectVocabulary(51), { code: 'ERR_TOKENIZER', message: /51 tokens.*only 50/ });
});

test('paths that hold no model', async () => {
  const rejects = (path: string, code: string, message: RegExp) =>
    assert.rejects(OnnxModel.open(path), { code, message });
  await rejects(join(folder, 'none.onnx'), 'ERR_NOT_FOUND', /does not exist/);
  await mkdir(join(folder, 'empty'), { recursive: true });
  await rejects(join(folder, 'empty'), 'ERR_MODEL', /no \.onnx file/);
  for (const name of ['a', 'b']) {
    await mkdir(join(folder, 'two'), { recursive: true });
    await copyFile(fixture('models/one-layer/model.onnx'), join(folder, 'two', `${name}.onnx`));
  }
  await rejects(join(folder, 'two'), 'ERR_MODEL', /2 \.onnx files/);
});

test('a folder as Optimum writes it', async () => {
  const root = join(folder, 'optimum');
  await mkdir(join(root, 'onnx'), { recursive: true });
  await copyFile(fixture('models/one-layer/model.onnx'), join(root, 'onnx', 'model.onnx'));
  await writeFile(join(root, 'config.json'), '{"max_position_embeddings": 9}');
  await writeFile(join(root, 'tokenizer.json'), '{}');
  const model = await OnnxModel.open(root);
  assert.deepEqual([model.contextSize, model.tokenizerPath], [9, join(root, 'tokenizer.json')]);
  assert.equal(model.name, 'optimum');
});

test('files that are not ONNX', async () => {
  const good = await readFile(fixture('models/one-layer/model.onnx'));
  const bad: Record<string, Uint8Array> = {
    empty: new Uint8Array(),
    text: new TextEncoder().encode('{"this is": "JSON"}\n'.repeat(50)),
    zeros: new Uint8Array(1000),
    'cut in half': good.subarray(0, good.length / 2),
    // Field 7 (graph) with a declared length of 2^35 bytes.
    'huge length': Uint8Array.of(0x3a, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01),
    nested: nestedGraphs(5000),
  };
  for (const [name, bytes] of Object.entries(bad)) {
    const path = join(folder, `${name}.onnx`);
    await writeFile(path, bytes);
    await assert.rejects(OnnxModel.open(path), { code: 'ERR_MODEL' }, name);
  }
  const large = join(folder, 'large.onnx');
  await writeFile(large, '');
  await truncate(large, 2 ** 31 + 1);
  await assert.rejects(OnnxModel.open(large), { code: 'ERR_LIMIT' });
});

/** A graph in a node's attribute in a graph in … */
function nestedGraphs(depth: number): Uint8Array {
  let bytes: number[] = [];
  const wrap = (tag: number) => {
    const length: number[] = [];
    for (let n = bytes.length; ; n >>>= 7) {
      length.push(n > 127 ? (n & 127) | 128 : n);
      if (n <= 127) break;
    }
    bytes = [tag, ...length, ...bytes];
  };
  for (let i = 0; i < depth; i++) for (const tag of [0x0a, 0x2a, 0x32]) wrap(tag); // node, attribute, g
  wrap(0x3a);
  return Uint8Array.from(bytes);
}

test('graphs that cannot be: a cycle, a tensor made twice, unknown operators and inputs', async () => {
  const cycle = await changed('cycle', ({ graph }) => {
    graph!.node.find(({ output }) => output[0] === 'hook_embed')!.input[1] = 'logits';
  });
  await assert.rejects(OnnxModel.open(cycle), { code: 'ERR_MODEL', message: /cycle/ });
  const twice = await changed('twice', ({ graph }) => graph!.node.push(graph!.node[0]));
  await assert.rejects(OnnxModel.open(twice), { code: 'ERR_MODEL', message: /two nodes make/ });
  const unknown = await changed('unknown', ({ graph }) => (graph!.node[5].opType = 'NoSuchOperator'));
  await assert.rejects(OnnxModel.open(unknown), { code: 'ERR_MODEL', message: /NoSuchOperator/ });
  const missing = await changed('missing', ({ graph }) => (graph!.node[5].input[0] = 'nowhere'));
  await assert.rejects(OnnxModel.open(missing), { code: 'ERR_MODEL' });
  const pixels = await changed('pixels', ({ graph }) => {
    graph!.input.push(valueInfo('pixel_values', { type: 'float32', shape: ['batch', 3, 8] }));
  });
  await assert.rejects(OnnxModel.open(pixels), {
    code: 'ERR_MODEL',
    message: /"pixel_values" \(float \[\?, 3, 8\]\)/,
  });
  const flat = await changed('flat', ({ graph }) => {
    graph!.input[0] = valueInfo('input_ids', { type: 'int64', shape: ['batch'] });
  });
  await assert.rejects(OnnxModel.open(flat), {
    code: 'ERR_MODEL',
    message: /no sequence axis: its input_ids are \[\?\]/,
  });
  const noIds = await changed('no-ids', ({ graph }) => {
    graph!.input[0].name = 'attention_mask';
    for (const node of graph!.node)
      node.input = node.input.map((x) => (x === 'input_ids' ? 'attention_mask' : x));
  });
  await assert.rejects(OnnxModel.open(noIds), {
    code: 'ERR_MODEL',
    message:
      /"attention_mask" \(int64 \[\?, \?\]\), which has no known sizes\. Give --input attention_mask=FILE/,
  });
});

test('sizes that no memory holds are an error of the model, not of the process', async () => {
  const weights = await changed('weights', ({ graph }) => {
    graph!.initializer.find(({ name }) => name === 'W_E')!.dims = [2n ** 40n, 2n ** 20n];
  });
  await assert.rejects(OnnxModel.open(weights), { code: 'ERR_MODEL' });
  const computed = await changed('computed', ({ graph }) => {
    const merge = graph!.initializer.find(({ name }) => name === 'split_heads')!;
    Object.assign(merge, { rawData: new Uint8Array(), int64Data: [2n ** 45n], dims: [1n] });
    const ones = graph!.node.find(({ output }) => output[0] === 'ones')!;
    ones.input[1] = 'split_heads';
  });
  await assert.rejects(OnnxModel.open(computed), ({ code }) => ['ERR_MODEL', 'ERR_MEMORY'].includes(code));
});

test('further inputs that language models have are understood', async () => {
  const path = await changed('inputs', ({ graph }) => {
    const past = (name: string) => valueInfo(name, { type: 'float32', shape: ['batch', 2, '?', 8] });
    graph!.input.push(valueInfo('token_type_ids', { type: 'int64', shape: ['batch', 'sequence'] }));
    graph!.input.push(past('past_key_values.0.key'), past('past_key_values.0.value'));
    const sum = {
      opType: 'Concat',
      input: ['past_key_values.0.key', 'past_key_values.0.value'],
      output: ['past'],
    };
    graph!.node.push(create(NodeProtoSchema, { ...sum, attribute: [graph!.node[0].attribute[0]] }));
    graph!.output.push(create(ValueInfoProtoSchema, { name: 'past' }));
  });
  const model = await OnnxModel.open(path);
  assert.deepEqual(model.tensors.get('past')!.shape.slice(1), [2, 0, 8]);
  assert.equal(model.resolveHook('blocks.0.mlp.hook_post').dIn, 24);
});

test('a model of more than 2 GiB: weights far into a data file, which JavaScript never holds', async () => {
  const place = join(folder, 'beyond');
  await mkdir(place);
  const proto = fromBinary(ModelProtoSchema, await readFile(fixture('models/one-layer-external/model.onnx')));
  const shift = 2 ** 31 + 4096;
  for (const { externalData } of proto.graph!.initializer) {
    const offset = externalData.find(({ key }) => key === 'offset');
    if (offset) offset.value = String(Number(offset.value) + shift);
  }
  await writeFile(join(place, 'model.onnx'), toBinary(ModelProtoSchema, proto));
  const data = await open(join(place, 'model.onnx.data'), 'w');
  await data.write(await readFile(fixture('models/one-layer-external/model.onnx.data')), 0, undefined, shift);
  await data.close();
  const before = process.memoryUsage().rss;
  const tokens = Uint32Array.of(1, 2, 3, 4);
  const rows: Float32Array[] = [];
  for (const path of [place, fixture('models/one-layer-external')]) {
    const hook = 'blocks.0.mlp.hook_post';
    const runner = await ModelRunner.start(await OnnxModel.open(path), { hook, threads: 1 });
    rows.push(await runner.activations(tokens, 4));
    await runner.close();
  }
  assert.deepEqual(rows[0], rows[1]);
  assert.ok(process.memoryUsage().rss - before < 2 ** 30);
});

test('external data: hashed, required, and only from the folder of the model', async () => {
  const source = fixture('models/one-layer-external');
  const place = join(folder, 'external');
  await mkdir(place);
  await copyFile(join(source, 'model.onnx'), join(place, 'model.onnx'));
  await assert.rejects(OnnxModel.open(place), { code: 'ERR_NOT_FOUND', message: /model\.onnx\.data/ });
  const data = await readFile(join(source, 'model.onnx.data'));
  await writeFile(join(place, 'model.onnx.data'), data);
  const first = await OnnxModel.open(place);
  assert.equal(first.sha256, (await OnnxModel.open(source)).sha256);
  data[100] ^= 1;
  await writeFile(join(place, 'model.onnx.data'), data);
  assert.notEqual((await OnnxModel.open(place)).sha256, first.sha256);
  await truncate(join(place, 'model.onnx.data'), 1000);
  await assert.rejects(OnnxModel.open(place), { code: 'ERR_MODEL' });
  for (const [i, location] of [
    '../model.onnx.data',
    '/etc/hostname',
    'a/../../b',
    'C:\\x',
    '..\\x',
  ].entries()) {
    const proto = fromBinary(ModelProtoSchema, await readFile(join(source, 'model.onnx')));
    const entry = proto
      .graph!.initializer.flatMap((t) => t.externalData)
      .find(({ key }) => key === 'location')!;
    entry.value = location;
    const path = join(folder, `escape-${i}.onnx`);
    await writeFile(path, toBinary(ModelProtoSchema, proto));
    await assert.rejects(OnnxModel.open(path), { code: 'ERR_MODEL', message: /outside its folder/ });
  }
});
