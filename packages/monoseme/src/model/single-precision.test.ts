import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import {
  AttributeProto_AttributeType,
  AttributeProtoSchema,
  GraphProtoSchema,
  ModelProtoSchema,
  TensorProtoSchema,
} from 'onnx-buf';
import ort from 'onnxruntime-node';
import { decodeFloats } from '../tensor/index.ts';
import { FIXTURE_FAMILIES, FIXTURE_MODELS, fixture, randomTokens } from '../testing/fixtures.ts';
import { cast, cutGraph, node, valueInfo } from './cut.ts';
import { HookedModel, OnnxModel } from './index.ts';
import { makeFeeds, understandInputs } from './model-inputs.ts';
import { ELEMENT, OnnxGraph, parseOnnx } from './onnx-graph.ts';
import { inSinglePrecision_ } from './single-precision.ts';
import { rawBytes } from './weight-bytes.ts';
import { toTensors } from './worker-tensors.ts';

const CONTEXT = 5;
const { tokens } = randomTokens(2, CONTEXT);

/** Bytes of the weights of half precision, in the order of the file. */
const halvesOf = ({ graph }: OnnxGraph): string[] =>
  graph.initializer
    .filter(({ dataType }) => dataType === ELEMENT.float16)
    .map((weight) => Buffer.from(rawBytes(weight, 'weights')).toString('hex'));

const GRAPHS = [
  ...FIXTURE_MODELS.map((name) => join('models', name)),
  ...FIXTURE_FAMILIES.map((name) => join('families', name)),
].filter((name) => name.endsWith('fp16'));

for (const name of GRAPHS) {
  test(`${name} keeps its weights and computes in f32: what the runtime makes of the file, without its rounding`, async () => {
    const path = fixture(name, 'model.onnx');
    const file = parseOnnx(Uint8Array.from(await readFile(path)), path);
    const model = await OnnxModel.open(path);
    assert.ok(model.storesHalves);
    assert.ok([...model.tensors.values()].every(({ type }) => type !== 'float16'));
    assert.ok(halvesOf(file).length > 0);
    assert.deepEqual(halvesOf(model.graph), halvesOf(file));

    const session = await ort.InferenceSession.create(path, { logSeverityLevel: 3 });
    const { logits } = await session.run(
      toTensors(makeFeeds(understandInputs(file.inputs), tokens, CONTEXT)),
    );
    await session.release();
    const { buffer, byteOffset, byteLength } = logits.data as Uint16Array;
    const rounded = decodeFloats(new Uint8Array(buffer, byteOffset, byteLength), 'F16');
    const hooked = new HookedModel(model, { threads: 1 });
    const found = await hooked.run({ tokens, contextSize: CONTEXT });
    await hooked.close();
    const apart = Math.max(...found.map((value, i) => Math.abs(value - rounded[i])));
    assert.ok(apart > 0 && apart < 0.02, String(apart));
  });
}

test('constants, bodies of If, functions, types of inputs and outputs; bf16 too', async () => {
  const HALF = ELEMENT.bfloat16;
  // bf16 is the upper half of f32.
  const tensor = (value: number, name = '') => ({
    name,
    dataType: HALF,
    dims: [1n],
    rawData: new Uint8Array(Float32Array.of(value).buffer).slice(2),
  });
  const attribute = (name: string, of: MessageInitShape<typeof AttributeProtoSchema>) =>
    create(AttributeProtoSchema, { name, ...of });
  const { TENSOR, GRAPH } = AttributeProto_AttributeType;
  const valued = (opType: string, inputs: string[], output: string, value: number) => ({
    ...node(opType, inputs, output),
    attribute: [attribute('value', { type: TENSOR, t: create(TensorProtoSchema, tensor(value)) })],
  });
  const half = (name: string) => {
    const info = valueInfo(name, { type: 'float32', shape: ['batch'] });
    if (info.type?.value.case === 'tensorType') info.type.value.value.elemType = HALF;
    return info;
  };
  const body = (name: string, weight: number) =>
    create(GraphProtoSchema, {
      name,
      initializer: [tensor(weight, `${name}.weight`)],
      node: [node('Add', ['scaled', `${name}.weight`], `${name}.out`)],
      output: [half(`${name}.out`)],
    });
  const branches = [
    attribute('then_branch', { type: GRAPH, g: body('then', 3) }),
    attribute('else_branch', { type: GRAPH, g: body('else', 5) }),
  ];
  const one = create(TensorProtoSchema, {
    name: 'one',
    dataType: ELEMENT.int64,
    dims: [1n],
    int64Data: [1n],
  });
  const model = create(ModelProtoSchema, {
    irVersion: 9n,
    opsetImport: [
      { domain: '', version: 17n },
      { domain: 'own', version: 1n },
    ],
    functions: [
      {
        ...{ domain: 'own', name: 'Twice', input: ['in'], output: ['twice'] },
        opsetImport: [{ domain: '', version: 17n }],
        node: [cast('in', 'half', HALF), node('Add', ['half', 'half'], 'twice')],
      },
    ],
    graph: {
      name: 'halves',
      initializer: [one, tensor(0.5, 'scale')],
      input: [half('x'), valueInfo('is_large', { type: 'bool', shape: [1] })],
      node: [
        node('Mul', ['x', 'scale'], 'scaled'),
        { ...node('If', ['is_large'], 'chosen'), attribute: branches },
        valued('Constant', [], 'constant', 7),
        valued('ConstantOfShape', ['one'], 'filled', 11),
        node('Sum', ['chosen', 'constant', 'filled'], 'sum'),
        { ...node('Twice', ['sum'], 'out'), domain: 'own' },
      ],
      output: [half('out')],
    },
  });
  const graph = inSinglePrecision_(new OnnxGraph(model, 'halves'), 'halves');
  const head = { nodes: [], outputs: ['out'] };
  const session = await ort.InferenceSession.create(cutGraph(graph, [], new Map(), head)[0].bytes);
  const x = [1.2345678, -3];
  for (const [isLarge, weight] of [
    [1, 3],
    [0, 5],
  ]) {
    const feeds = { x: new ort.Tensor('float32', x, [2]), is_large: new ort.Tensor('bool', [isLarge], [1]) };
    const { out } = await session.run(feeds);
    assert.equal(out.type, 'float32');
    x.forEach((value, i) => {
      const expected = 2 * (value * 0.5 + weight + 18);
      assert.ok(Math.abs((out.data as Float32Array)[i] - expected) < 1e-5, `${out.data[i]}, not ${expected}`);
    });
  }
  await session.release();
});

test('a graph without halves is given back as it is', async () => {
  const path = fixture('models/one-layer/model.onnx');
  const graph = parseOnnx(Uint8Array.from(await readFile(path)), path);
  assert.equal(inSinglePrecision_(graph, path), graph);
  assert.equal((await OnnxModel.open(path)).storesHalves, false);
});
