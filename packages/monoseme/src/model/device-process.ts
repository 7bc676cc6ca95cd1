import ort from 'onnxruntime-node';
import { oneNode } from './cut.ts';
import type { DeviceAnswer } from './try-device.ts';

/** A program: does a graph of one node run on the device named? Its answer is the last line of what it prints. */
const [device] = process.argv.slice(2);

async function add(type: 'float32' | 'float16', one: Float32Array | Uint16Array): Promise<void> {
  const options = { executionProviders: [device], logSeverityLevel: 4 } as const;
  const session = await ort.InferenceSession.create(oneNode(type), options);
  await session.run({ x: new ort.Tensor(type as 'float32', one as Float32Array, [1]) });
  await session.release();
}

async function answer(): Promise<DeviceAnswer> {
  try {
    await add('float32', Float32Array.of(1));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    // Behind the place in the runtime's source and the check that failed.
    const line = text.split('\n')[0].replace(/^.*was false\. /, '');
    return { reason: line.slice(0, 200).replace(/\.+$/, '') };
  }
  const halves = await add('float16', Uint16Array.of(0x3c00)).then(
    () => true,
    () => false,
  );
  return { halves };
}

ort.env.logLevel = 'fatal';
process.stdout.write(`\n${JSON.stringify(await answer())}\n`);
