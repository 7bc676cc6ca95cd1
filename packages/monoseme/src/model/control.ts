import { copyFile, mkdir, open, readdir, stat } from 'node:fs/promises';
import { dirname, join, relative } from 'node:path';
import { toBinary } from '@bufbuild/protobuf';
import { ModelProtoSchema, type TensorProto } from 'onnx-buf';
import { fileError, MonosemeError, throwIfAborted } from '../errors.ts';
import { atomicWrite, readLimited, writeAll } from '../formats/index.ts';
import { hashSeed, Random } from '../random/index.ts';
import type { HubOptions } from '../hub/index.ts';
import { localModel } from './hub-model.ts';
import { companionFolders, externalDataFiles, MODEL_BYTES_LIMIT } from './model-files.ts';
import { notAModel, type OnnxGraph, parseOnnx } from './onnx-graph.ts';
import { entryBytes, externalPlace, isExternal, nEntries, rawBytes, setRawBytes } from './weight-bytes.ts';

export interface ControlOptions {
  seed?: number;
  /** Tensors that stay as they are: a table that was not learnt, say. */
  keep?: readonly string[];
  /** Of a download. */
  hub?: HubOptions;
  signal?: AbortSignal;
  /** In weight matrices. */
  onProgress?: (done: number, total: number) => void;
}

/** What was written. */
export interface Control {
  /** Path of the new .onnx file. */
  path: string;
  /** Names of the permuted matrices, in the order of the file. */
  matrices: string[];
  /** Their entries, all together. */
  nEntries: number;
}

/** Companions of a model that are copied where they are there. */
const COMPANIONS = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'special_tokens_map.json',
  'vocab.json',
  'merges.txt',
];

/** Copied at once from a file of weights. */
const COPY_BYTES = 16 * 2 ** 20;

/**
 * Write the shuffled-weights control of a model: the same graph, with the entries permuted within each weight
 * matrix (Bricken et al. 2023, footnote 28). The distribution of every matrix's weights stays; what the model
 * learnt is gone.
 *
 * A weight matrix is an initialiser of floating-point or 8-bit entries with at least two axes longer than 1
 * and more than two different entries (else it is a mask). Biases and gains, which have one axis, stay. A
 * permutation depends on the seed and the tensor's name alone. Weights in data files are read one at a time.
 *
 * @param path a model, as `OnnxModel.open` takes it
 * @param out a new folder: `model.onnx`, its data files, and copies of tokenizer and configuration
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_MODEL (not ONNX, no weight matrix, data that is cut off),
 * ERR_OPTION (`keep` names no weight matrix), ERR_EXISTS, ERR_INTERRUPTED
 */
export async function writeControl(
  path: string,
  out: string,
  options: ControlOptions = {},
): Promise<Control> {
  const { seed = 0, keep = [], signal, onProgress } = options;
  const onnx = await localModel(path, options.hub);
  const graph = parseOnnx(await readLimited(onnx, MODEL_BYTES_LIMIT), onnx);
  const dataFiles = await externalDataFiles(graph, onnx);
  const matrices = chooseMatrices(graph, keep, onnx);
  await prepareFolder(out, [
    'model.onnx',
    ...COMPANIONS,
    ...dataFiles.map((file) => relative(dirname(onnx), file)),
  ]);

  const permuted = new Set<TensorProto>();
  const permute = (
    tensor: TensorProto,
    bytes: Uint8Array<ArrayBuffer>,
  ): Uint8Array<ArrayBuffer> | undefined => {
    throwIfAborted(signal);
    const changed = permuteEntries(bytes, entryBytes(tensor)!, hashSeed(seed, 'control', tensor.name));
    if (changed) permuted.add(tensor);
    onProgress?.(permuted.size, matrices.length);
    return changed;
  };
  for (const file of dataFiles) {
    const within = matrices.filter(
      (tensor) => isExternal(tensor) && externalPlace(tensor, onnx).path === file,
    );
    await copyPermuted(file, join(out, relative(dirname(onnx), file)), within, onnx, permute);
  }
  for (const tensor of matrices.filter((matrix) => !isExternal(matrix))) {
    const bytes = permute(tensor, rawBytes(tensor, onnx));
    if (bytes) setRawBytes(tensor, bytes);
  }
  if (permuted.size === 0) throw notAModel(onnx, 'it has no weight matrix');
  await copyCompanions(companionFolders(onnx), out);
  const model = join(out, 'model.onnx');
  await atomicWrite(model, toBinary(ModelProtoSchema, graph.model));
  const done = matrices.filter((tensor) => permuted.has(tensor));
  return {
    path: model,
    matrices: done.map(({ name }) => name),
    nEntries: done.reduce((sum, tensor) => sum + nEntries(tensor), 0),
  };
}

function chooseMatrices(graph: OnnxGraph, keep: readonly string[], onnx: string): TensorProto[] {
  const matrices = graph.graph.initializer.filter(
    (tensor) => entryBytes(tensor) !== undefined && tensor.dims.filter((size) => size > 1n).length >= 2,
  );
  const missing = keep.find((name) => !matrices.some((tensor) => tensor.name === name));
  if (missing !== undefined)
    throw new MonosemeError(
      'ERR_OPTION',
      `${onnx} has no weight matrix "${missing.slice(0, 200)}" to keep.`,
      'Without the option, the result lists the matrices.',
    );
  return matrices.filter(({ name }) => !keep.includes(name));
}

/** The same entries in another order; undefined where there are at most two different ones. */
function permuteEntries(
  bytes: Uint8Array<ArrayBuffer>,
  entrySize: number,
  seed: number,
): Uint8Array<ArrayBuffer> | undefined {
  const Entries = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array, 8: BigUint64Array }[entrySize]!;
  // Entries are only compared and moved, which is the same for all four types.
  const entries = new Entries(bytes.buffer) as Uint32Array;
  const second = entries.find((entry) => entry !== entries[0]);
  if (entries.every((entry) => entry === entries[0] || entry === second)) return undefined;
  const random = new Random(seed);
  for (let i = entries.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    const swap = entries[i];
    entries[i] = entries[j];
    entries[j] = swap;
  }
  return bytes;
}

/** An empty or new folder, or one that an interrupted run left with nothing but what would be written again. */
async function prepareFolder(folder: string, own: readonly string[]): Promise<void> {
  try {
    await mkdir(folder, { recursive: true });
    const found = await readdir(folder);
    const mine = (name: string) =>
      own.some((path) => path.split(/[\\/]/)[0] === name.replace(/\.partial$/, ''));
    if (!found.includes('model.onnx') && found.every(mine)) return;
  } catch (error) {
    throw fileError(error, `make the folder ${folder}`);
  }
  throw new MonosemeError('ERR_EXISTS', `${folder} is not empty.`, 'Choose another folder.');
}

/** Copy a data file, with some of its tensors permuted. Places that several tensors share are permuted once. */
async function copyPermuted(
  from: string,
  to: string,
  tensors: readonly TensorProto[],
  onnx: string,
  permute: (tensor: TensorProto, bytes: Uint8Array<ArrayBuffer>) => Uint8Array | undefined,
): Promise<void> {
  const source = await open(from);
  try {
    const { size } = await source.stat();
    const read = async (offset: number, length: number) => {
      const bytes = new Uint8Array(length);
      for (let done = 0; done < length;) {
        const { bytesRead } = await source.read(
          bytes,
          done,
          Math.min(COPY_BYTES, length - done),
          offset + done,
        );
        if (bytesRead === 0) throw notAModel(onnx, `its data file ${from} is cut off`);
        done += bytesRead;
      }
      return bytes;
    };
    await atomicWrite(to, async (file) => {
      for (let at = 0; at < size; at += COPY_BYTES)
        await writeAll(file, await read(at, Math.min(COPY_BYTES, size - at)));
      const done = new Set<number>();
      for (const tensor of tensors) {
        const { offset, length } = externalPlace(tensor, onnx);
        if (offset + length > size) throw notAModel(onnx, `its data file ${from} is cut off`);
        if (done.has(offset)) continue;
        done.add(offset);
        const changed = permute(tensor, await read(offset, length));
        if (!changed) continue;
        for (let at = 0; at < length;)
          at += (await file.write(changed, at, Math.min(COPY_BYTES, length - at), offset + at)).bytesWritten;
      }
    });
  } finally {
    await source.close();
  }
}

async function copyCompanions(folders: readonly string[], out: string): Promise<void> {
  for (const name of COMPANIONS) {
    for (const folder of folders) {
      const path = join(folder, name);
      const there = await stat(path).then(
        (found) => found.isFile(),
        () => false,
      );
      if (!there) continue;
      await copyFile(path, join(out, name));
      break;
    }
  }
}
