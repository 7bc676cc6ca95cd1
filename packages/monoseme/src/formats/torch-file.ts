import { MonosemeError } from '../errors.ts';
import { expectSameShape, type RawTensor, toFloats, toNumber } from './elements.ts';
import { LIMITS } from './limits.ts';
import { parsePickle, PickleGlobal } from './pickle.ts';
import { ELEMENT_BYTES, type SafetensorsDtype } from './safetensors-header.ts';
import { readZip, type ZipFile } from './zip.ts';

/**
 * The pickle of a state dict takes about a hundred bytes a tensor: this is five thousand of them. Of one byte it can make an
 * object of some hundred.
 */
const MAX_PICKLE_BYTES = 2 ** 19;

const STORAGES: Readonly<Record<string, SafetensorsDtype>> = {
  'torch.FloatStorage': 'F32',
  'torch.DoubleStorage': 'F64',
  'torch.HalfStorage': 'F16',
  'torch.BFloat16Storage': 'BF16',
  'torch.LongStorage': 'I64',
  'torch.IntStorage': 'I32',
  'torch.ShortStorage': 'I16',
  'torch.CharStorage': 'I8',
  'torch.ByteStorage': 'U8',
  'torch.BoolStorage': 'BOOL',
};

/** A flat run of elements in the archive. */
class Storage {
  readonly dtype: SafetensorsDtype;
  readonly key: string;
  readonly nElements: number;

  constructor(dtype: SafetensorsDtype, key: string, nElements: number) {
    this.dtype = dtype;
    this.key = key;
    this.nElements = nElements;
  }
}

/** A view of a storage: element (i, j, …) is at offset + i·stride[0] + j·stride[1] + … */
class View {
  readonly storage: Storage;
  readonly offset: number;
  readonly shape: readonly number[];
  readonly stride: readonly number[];

  constructor(storage: Storage, offset: number, shape: readonly number[], stride: readonly number[]) {
    this.storage = storage;
    this.offset = offset;
    this.shape = shape;
    this.stride = stride;
  }

  get nElements(): number {
    return this.shape.reduce((product, size) => product * size, 1);
  }
}

/**
 * Open a state dict written by `torch.save` (PyTorch 1.6 or later): a zip with the storages and a pickle that says which
 * tensor is which part of them. The pickle is read as data ({@link parsePickle}); only the globals of tensors are known.
 * Every view is checked to lie inside its storage, and no tensor may have more elements than its storage, before anything
 * is allocated.
 *
 * @throws {MonosemeError} ERR_NOT_FOUND, ERR_FILE, ERR_FORMAT (with the opcode, global or tensor), ERR_LIMIT
 */
export async function readTorch(path: string): Promise<TorchFile> {
  const zip = await readZip(path);
  try {
    return await TorchFile.open(zip);
  } catch (error) {
    await zip.close();
    throw error;
  }
}

/** An open state dict. Close it when done. */
export class TorchFile {
  readonly path: string;
  readonly #zip: ZipFile;
  readonly #prefix: string;
  readonly #items: ReadonlyMap<string, unknown>;

  private constructor(zip: ZipFile, prefix: string, items: ReadonlyMap<string, unknown>) {
    this.path = zip.path;
    this.#zip = zip;
    this.#prefix = prefix;
    this.#items = items;
  }

  /** As {@link readTorch}, of an archive that is open. */
  static async open(zip: ZipFile): Promise<TorchFile> {
    const [pickle, ...others] = zip.names().filter((name) => /(^|\/)data\.pkl$/.test(name));
    if (pickle === undefined || others.length > 0) throw zip.malformed('it has no data.pkl, or several');
    const prefix = pickle.slice(0, -'data.pkl'.length);
    if (zip.bytesOf(`${prefix}byteorder`) !== undefined) {
      const order = new TextDecoder().decode(await zip.read(`${prefix}byteorder`));
      if (order !== 'little') throw zip.malformed(`its byte order is ${JSON.stringify(order.slice(0, 20))}`);
    }
    const bytes = zip.bytesOf(pickle) ?? 0;
    if (bytes > MAX_PICKLE_BYTES)
      throw new MonosemeError(
        'ERR_LIMIT',
        `The pickle of ${zip.path} has ${bytes} bytes, more than the ${MAX_PICKLE_BYTES} that are read.`,
        'Save a state dict of tensors alone.',
      );
    const root = parsePickle(await zip.read(pickle), zip.path, { globals: GLOBALS, persistent: storageOf });
    if (!(root instanceof Map) || [...root.keys()].some((key) => typeof key !== 'string'))
      throw zip.malformed('it holds no state dict (a dictionary with the names of tensors)');
    const file = new TorchFile(zip, prefix, root as Map<string, unknown>);
    for (const name of file.names()) file.#checkView(name);
    return file;
  }

  /** Names of the tensors. */
  names(): string[] {
    return [...this.#items].filter(([, value]) => value instanceof View).map(([name]) => name);
  }

  has(name: string): boolean {
    return this.#items.get(name) instanceof View;
  }

  /** A number or a string that stands beside the tensors, also in a dictionary there (`value('state', 'k')`); else undefined. */
  value(...path: readonly string[]): number | string | undefined {
    let value: unknown = this.#items;
    for (const name of path)
      value = value instanceof Map ? (value as Map<unknown, unknown>).get(name) : undefined;
    return typeof value === 'number' || typeof value === 'string' ? value : undefined;
  }

  async shape(name: string): Promise<readonly number[]> {
    return this.#view(name).shape;
  }

  async floats(name: string, shape?: readonly number[]): Promise<Float32Array<ArrayBuffer>> {
    const view = this.#view(name);
    const what = `"${name}" of ${this.path}`;
    if (shape) expectSameShape(what, view.shape, shape);
    return gather(toFloats(await this.#storage(name, view), what), view);
  }

  async scalar(name: string): Promise<number> {
    const view = this.#view(name);
    const { dtype, bytes } = await this.#storage(name, view);
    const from = view.offset * ELEMENT_BYTES[dtype];
    return toNumber({ dtype, shape: [...view.shape], bytes: bytes.slice(from) }, `"${name}" of ${this.path}`);
  }

  async close(): Promise<void> {
    await this.#zip.close();
  }

  #view(name: string): View {
    const view = this.#items.get(name);
    if (view instanceof View) return view;
    throw this.#zip.malformed(`it has no tensor "${name}" (it has: ${this.names().slice(0, 8).join(', ')})`);
  }

  #checkView(name: string): void {
    const view = this.#view(name);
    const { storage, offset, shape, stride } = view;
    const fail = (reason: string) => this.#zip.malformed(`tensor "${name.slice(0, 80)}" ${reason}`);
    const inArchive = this.#zip.bytesOf(this.#entry(storage));
    const needed = storage.nElements * ELEMENT_BYTES[storage.dtype];
    if (inArchive !== needed)
      throw fail(`needs a storage of ${needed} bytes, and the archive has ${inArchive ?? 'none'}`);
    const isSize = (value: unknown) => Number.isSafeInteger(value) && (value as number) >= 0;
    if (
      shape.length > LIMITS.tensorRank ||
      shape.length !== stride.length ||
      ![offset, ...shape, ...stride].every(isSize)
    )
      throw fail('has a shape, stride or offset that is not of whole numbers');
    const { nElements } = view;
    if (nElements > storage.nElements)
      throw fail(`has the shape [${shape}], more than the ${storage.nElements} elements of its storage`);
    const last = shape.reduce((sum, size, axis) => sum + (size - 1) * stride[axis], offset);
    if (nElements > 0 && last >= storage.nElements)
      throw fail(`reaches element ${last} of a storage of ${storage.nElements}`);
  }

  #entry({ key }: Storage): string {
    return `${this.#prefix}data/${key}`;
  }

  async #storage(name: string, { storage }: View): Promise<RawTensor> {
    const bytes = await this.#zip.read(this.#entry(storage));
    if (bytes.length !== storage.nElements * ELEMENT_BYTES[storage.dtype])
      throw this.#zip.malformed(`the storage of "${name}" has ${bytes.length} bytes`);
    return { dtype: storage.dtype, shape: [storage.nElements], bytes };
  }
}

/** The elements of a view in row-major order. */
function gather(storage: Float32Array<ArrayBuffer>, view: View): Float32Array<ArrayBuffer> {
  const { offset, shape, stride, nElements } = view;
  const out = new Float32Array(nElements);
  const rank = shape.length;
  const place = new Array<number>(rank).fill(0);
  let at = offset;
  for (let i = 0; i < nElements; i++) {
    out[i] = storage[at];
    for (let axis = rank - 1; axis >= 0; axis--) {
      at += stride[axis];
      if (++place[axis] < shape[axis]) break;
      at -= shape[axis] * stride[axis];
      place[axis] = 0;
    }
  }
  return out;
}

function unreadable(what: string): MonosemeError {
  return new MonosemeError(
    'ERR_FORMAT',
    `A pickle ${what}.`,
    'Only a state dict as torch.save writes it is read.',
  );
}

/** A value for an error. A tuple may hold another many times over, that one a third: written out it would never end. */
function shown(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value).slice(0, 80) : typeof value;
}

/** ("storage", class, key, device, number of elements) */
function storageOf(id: readonly unknown[]): Storage {
  const [kind, type, key, , nElements] = id;
  const dtype = type instanceof PickleGlobal ? STORAGES[type.name] : undefined;
  if (kind !== 'storage' || !dtype || typeof key !== 'string' || !/^\d{1,9}$/.test(key))
    throw unreadable(`names a storage that is none (${shown(kind)}, ${shown(key)})`);
  if (typeof nElements !== 'number' || !Number.isSafeInteger(nElements) || nElements < 0)
    throw unreadable(`has a storage of ${shown(nElements)} elements`);
  return new Storage(dtype, key, nElements);
}

/** (storage, offset, shape, stride, requires_grad, hooks) */
function rebuildTensor([storage, offset, shape, stride]: readonly unknown[]): View {
  if (
    !(storage instanceof Storage) ||
    typeof offset !== 'number' ||
    !Array.isArray(shape) ||
    !Array.isArray(stride)
  )
    throw unreadable('rebuilds a tensor from something else than a storage');
  return new View(storage, offset, shape as number[], stride as number[]);
}

const GLOBALS = new Map<string, ((args: readonly unknown[]) => unknown) | undefined>([
  ['collections.OrderedDict', () => new Map()],
  ['torch._utils._rebuild_tensor_v2', rebuildTensor],
  ['torch._utils._rebuild_parameter', ([tensor]) => tensor],
  ...Object.keys(STORAGES).map((name): [string, undefined] => [name, undefined]),
]);
