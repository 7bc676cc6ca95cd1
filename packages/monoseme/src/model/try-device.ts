import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import ort from 'onnxruntime-node';
import { MonosemeError } from '../errors.ts';
import type { Device } from './worker-messages.ts';

/** What the process that tries a device says: whether it computes in half precision, or why it computes nothing. */
export type DeviceAnswer = { halves: boolean } | { reason: string };

/** A first run compiles, and some drivers are slow to start. */
const TRIAL_MS = 120_000;

/**
 * Try a device, in a process of its own: a driver that crashes ends that one, and what libraries print there is not shown.
 *
 * @returns whether it computes in half precision
 * @throws {MonosemeError} ERR_OPTION where it cannot be used, with what this build of ONNX Runtime has
 */
export async function tryDevice(device: Device): Promise<boolean> {
  const answer = await ask(device);
  if ('halves' in answer) return answer.halves;
  const offered = ort.listSupportedBackends().map(({ name }) => name);
  const reason = offered.includes(device) ? answer.reason : 'ONNX Runtime is built without it';
  throw new MonosemeError(
    'ERR_OPTION',
    `The device ${device} cannot be used here: ${reason}.`,
    `This build of ONNX Runtime knows ${offered.join(', ')}; cpu always runs.`,
  );
}

function ask(device: Device): Promise<DeviceAnswer> {
  const program = fileURLToPath(new URL('./device-process.js', import.meta.url));
  return new Promise((resolve) => {
    execFile(process.execPath, [program, device], { timeout: TRIAL_MS }, (error, stdout) => {
      const line = stdout.trimEnd().split('\n').at(-1)!;
      if (line.startsWith('{')) resolve(JSON.parse(line) as DeviceAnswer);
      else
        resolve({
          reason: error?.killed ? 'it gave no answer' : `trying it failed (${error?.signal ?? error?.code})`,
        });
    });
  });
}
