import { workerData } from 'node:worker_threads';
import ort from 'onnxruntime-node';
import { MonosemeError } from '../errors.ts';
import { oneNode } from './cut.ts';
import { makeArrayFeeds, makeFeeds, readsTokens } from './model-inputs.ts';
import { GUARD, type Handlers, type SessionName, type SessionSpec } from './worker-messages.ts';
import { floatTensors, toTensors } from './worker-tensors.ts';

export interface Session {
  spec: SessionSpec;
  session: ort.InferenceSession;
}

const guard: Int32Array = workerData;

export const sessions = new Map<SessionName, Session>();

/** Sessions of ONNX Runtime: made, run on given values, released. */
export const sessionHandlers: Handlers<'inspect' | 'expectDevice' | 'runFeeds' | 'load' | 'unload'> = {
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
    // What it would print itself, of libraries that are not there, the error says.
    ort.env.logLevel = 'fatal';
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

  async unload({ session: name }) {
    await native(async () => sessions.get(name)?.session.release());
    sessions.delete(name);
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
        // For threads that do not inherit it from this one.
        set_denormal_as_zero: '1',
        // Idle threads would spin and take the cores that the trainer works on between two runs.
        intra_op: { allow_spinning: '0' },
      },
    },
  };
  return native(() => ort.InferenceSession.create(bytes, options));
}

/** Make a native call unless the process is ending; see {@link GUARD}. */
export async function native<T>(call: () => Promise<T>): Promise<T> {
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
