import type { NodeProto } from 'onnx-buf';
import { MonosemeError } from '../errors.ts';
import { cast, type Head, node } from './cut.ts';
import { ELEMENT, type OnnxGraph } from './onnx-graph.ts';
import { type Axis, perSample, type TensorInfo } from './tensor-shapes.ts';
import { int64 } from './suffix-heads.ts';

/** How somebody declares the axes of a tensor. */
export interface RowAxes {
  /** Names of all axes but that of the features, in order, as in [batch, channel, patch]. */
  readonly sampleAxes?: readonly string[];
  /** The axis whose entries make a row; −1 is the last. */
  readonly featureAxis?: number;
}

/** An axis along which the rows of one sample lie. */
export interface RowAxis {
  readonly name: string;
  readonly size: number;
}

/** How the rows of a tensor lie in it: one row of `dIn` features for each place along the other axes. */
export interface RowLayout {
  readonly dIn: number;
  /** Axes behind the batch; none where a sample gives one row. */
  readonly axes: readonly RowAxis[];
  /** Rows of a sample. */
  readonly rowsPerSample: number;
  /** Order of the tensor's axes (a first axis `batch*k` split in two): batch, `axes`, features. */
  readonly order: readonly number[];
  /** Sizes of the axes to be split so, −1 for the batch; undefined where none is. */
  readonly split: readonly number[] | undefined;
}

/**
 * Take a tensor of a model that reads arrays as rows. By default the features are the last axis, or the second where a
 * convolution made it; axes are called `position`, `row` and `column` behind a convolution, or by their numbers.
 *
 * @param name of the tensor, for errors
 * @throws {MonosemeError} ERR_HOOK (no axis of the batch, an axis whose size is not known), ERR_OPTION (axes that do not fit)
 */
export function rowLayout(graph: OnnxGraph, name: string, info: TensorInfo, given: RowAxes = {}): RowLayout {
  const { axes, split } = splitBatch(info.shape);
  const shown = `"${name}" has the axes [${info.shape.join(', ')}]`;
  const batch = axes.indexOf('batch');
  const unknown = axes.find((axis, i) => i !== batch && typeof axis !== 'number');
  if (batch < 0 || unknown !== undefined || axes.length < 2)
    throw new MonosemeError(
      'ERR_HOOK',
      `${shown}, not rows of each sample of a batch.`,
      'Choose another tensor.',
    );
  const isMap = axes.length > 2 && isConvolved(graph, name);
  const { featureAxis = isMap ? 1 : -1 } = given;
  const feature = featureAxis < 0 ? axes.length + featureAxis : featureAxis;
  if (!Number.isInteger(feature) || feature < 0 || feature >= axes.length || feature === batch)
    throw new MonosemeError(
      'ERR_OPTION',
      `${shown}: its features are not along axis ${featureAxis}.`,
      'Count axes from 0, or from −1 for the last.',
    );
  const others = [...axes.keys()].filter((axis) => axis !== feature);
  const names = given.sampleAxes ?? usualNames(others, batch, isMap);
  if (names.length !== others.length || names.indexOf('batch') !== others.indexOf(batch))
    throw new MonosemeError(
      'ERR_OPTION',
      `${shown}: its samples are not along ${names.join(',')}.`,
      `Name its ${others.length} axes beside the features, the ${others.indexOf(batch) + 1}. of them "batch".`,
    );
  const places = others.filter((axis) => axis !== batch);
  const rows = places.map((axis) => ({ name: names[others.indexOf(axis)], size: axes[axis] as number }));
  return {
    dIn: axes[feature] as number,
    axes: rows,
    rowsPerSample: rows.reduce((product, { size }) => product * size, 1),
    order: [batch, ...places, feature],
    split,
  };
}

/** A first axis of several entries a sample is two. */
function splitBatch(shape: readonly Axis[]): { axes: Axis[]; split: number[] | undefined } {
  const entries = perSample(shape[0]) ?? 1;
  if (entries === 1) return { axes: [...shape], split: undefined };
  const rest = shape.slice(1);
  return { axes: ['batch', entries, ...rest], split: [-1, entries, ...rest.map(Number)] };
}

function usualNames(others: readonly number[], batch: number, isMap: boolean): string[] {
  const n = others.length - 1;
  const plain = isMap && n === 2 ? ['row', 'column'] : n === 1 ? ['position'] : undefined;
  let place = 0;
  return others.map((axis) => (axis === batch ? 'batch' : (plain?.[place++] ?? `axis${axis}`)));
}

const ELEMENTWISE =
  /^(Add|Mul|Sub|Div|Relu|LeakyRelu|Sigmoid|Tanh|Erf|Gelu|Clip|HardSwish|HardSigmoid|Elu|Selu|PRelu|Cast|Identity|BatchNormalization|InstanceNormalization|GroupNormalization|MaxPool|AveragePool|GlobalAveragePool|Concat|Pad|Resize)$/;

/** Whether a tensor is a map of a convolution: channels first. */
function isConvolved(graph: OnnxGraph, tensor: string): boolean {
  let maker: NodeProto | undefined = graph.producer(tensor);
  while (maker && ELEMENTWISE.test(maker.opType)) {
    const input = maker.input.find((name) => name !== '' && !graph.isWeight(name));
    maker = input === undefined ? undefined : graph.producer(input);
  }
  return maker?.opType === 'Conv' || maker?.opType === 'ConvTranspose';
}

/** Nodes that lay a tensor out as f32 [batch, …axes, dIn]. */
export function rowsHead(tensor: string, { order, split }: RowLayout, output: string): Head {
  const name = (part: string) => `monoseme.layout.${part}`;
  const nodes = [cast(tensor, name('float'), ELEMENT.float)];
  if (split) nodes.push(node('Reshape', [name('float'), name('split')], name('axes')));
  nodes.push(node('Transpose', [nodes.at(-1)!.output[0]], output, { perm: order }));
  const initializers = split ? [int64(name('split'), [...split])] : [];
  return { nodes, initializers, outputs: [output] };
}
