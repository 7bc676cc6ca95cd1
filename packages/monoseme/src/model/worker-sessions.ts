import { workerData } from 'node:worker_threads';
import ort from 'onnxruntime-node';
import { MonosemeError } from '../errors.ts';
import { makeArrayFeeds, makeFeeds, readsTokens } from './model-inputs.ts';
import { type Device, GUARD, type Handlers, type SessionName, type SessionSpec } from './worker-messages.ts';
import { floatTensors, toTensors } from './worker-tensors.ts';

export interface Session {
  spec: SessionSpec;
  session: ort.InferenceSession;
}

const guard: Int32Array = workerData;

export const sessions = new Map<SessionName, Session>();

/** Sessions of ONNX Runtime: made, run on given values, released. */
export const sessionHandlers: Handlers<'inspect' | 'runFeeds' | 'load' | 'unload'> = {
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

  async runFeeds({ session: name, feeds }) {
    const { session } = sessions.get(name)!;
    return floatTensors(await native(() => session.run(toTensors(feeds))));
  },

  async load({ as, session: spec }) {
    sessions.set(as, { spec, session: await createSession(spec) });
    spec.bytes = new Uint8Array();
  },

  async unload({ session: name }) {
    const { session, spec } = sessions.get(name) ?? {};
    if (spec?.profile) session?.endProfiling();
    await native(async () => session?.release());
    sessions.delete(name);
  },
};

function createSession({
  bytes,
  folder,
  threads,
  device,
  cpuNodes,
  profile,
  optimize,
}: SessionSpec): Promise<ort.InferenceSession> {
  const options: ort.InferenceSession.SessionOptions = {
    executionProviders: [...providers(device, cpuNodes), 'cpu'],
    ...(profile && { enableProfiling: true, profileFilePrefix: profile }),
    intraOpNumThreads: threads,
    graphOptimizationLevel: optimize ? 'all' : 'disabled',
    // What it would print, its errors say, and they are thrown.
    logSeverityLevel: 4,
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

function providers(
  device: Device,
  cpuNodes: readonly string[],
): ort.InferenceSession.ExecutionProviderConfig[] {
  if (device === 'cpu') return [];
  return [device === 'webgpu' ? { name: device, forceCpuNodeNames: cpuNodes } : device];
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
