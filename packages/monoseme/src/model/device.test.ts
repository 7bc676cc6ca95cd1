import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { rmSync } from 'node:fs';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import ort from 'onnxruntime-node';
import { MonosemeError } from '../errors.ts';
import { decodeFloats } from '../tensor/index.ts';
import { deviceFigures, type DeviceFigures } from '../testing/device-figures.ts';
import type { DeviceAnswer } from '../testing/device-figures-process.ts';
import { fixture } from '../testing/fixtures.ts';
import { softwareVulkan } from '../testing/software-vulkan.ts';
import { type Device, DEVICES, OnnxModel } from './index.ts';

const PROGRAM = fileURLToPath(new URL('../testing/device-figures-process.js', import.meta.url));
const MODEL = 'models/one-layer';
// Half precision, rotary positions, and operators of quantisation that WebGPU does not have.
const OTHERS = ['models/one-layer-fp16', 'families/llama-optimum', 'families/gpt2-int8'];

const vulkan = softwareVulkan();
after(() => vulkan && rmSync(vulkan.folder, { recursive: true }));

const figuresOn = async (device: Device) => deviceFigures(await OnnxModel.open(fixture(MODEL), { device }));

const asFloats = (halves: readonly number[]) =>
  decodeFloats(new Uint8Array(Uint16Array.from(halves).buffer), 'F16');

/** Largest difference as a share of the largest value. */
function difference(found: ArrayLike<number>, expected: ArrayLike<number>): number {
  assert.equal(found.length, expected.length);
  const values = Array.from(expected);
  const off = values.map((value, i) => Math.abs(found[i] - value));
  return Math.max(...off) / Math.max(...values.map(Math.abs));
}

async function expectLikeCpu(found: DeviceFigures): Promise<void> {
  for (const [what, expected] of Object.entries(await figuresOn('cpu'))) {
    const isHalf = what === 'halves';
    const off = isHalf
      ? difference(asFloats(found[what]), asFloats(expected))
      : difference(found[what], expected);
    assert.ok(off < (isHalf ? 2 ** -10 : 1e-5), `${what}: ${off}`);
  }
}

test(
  'webgpu, with a Vulkan in software: what the CPU gives, and which nodes that computes',
  { skip: !vulkan && 'there is no software Vulkan for this platform in node_modules' },
  async () => {
    const env = { ...process.env, ...vulkan!.environment };
    const ran = await promisify(execFile)(process.execPath, [PROGRAM, 'webgpu', MODEL, ...OTHERS], { env });
    assert.equal(ran.stderr, '');
    const { figures, comparisons } = JSON.parse(ran.stdout) as DeviceAnswer;
    for (const [i, { nOnDevice, difference }] of comparisons.entries())
      assert.ok(nOnDevice > 10 && difference < 1e-5, `${i}: ${nOnDevice} nodes, ${difference}`);
    const [, , rotary, quantised] = comparisons.map(({ onCpu }) => onCpu);
    assert.ok(rotary.includes('Sin') && rotary.includes('Cos') && quantised.includes('MatMulInteger'));
    await expectLikeCpu(figures);
  },
);

for (const device of DEVICES.filter((name) => name !== 'cpu')) {
  test(`${device}: the CPU's figures, or a refusal that says what there is`, async (t) => {
    let found: DeviceFigures;
    try {
      found = await figuresOn(device);
    } catch (error) {
      assert.ok(error instanceof MonosemeError);
      assert.equal(error.code, 'ERR_OPTION');
      const offered = ort.listSupportedBackends().map(({ name }) => name);
      assert.match(
        error.message,
        new RegExp(`device ${device} cannot be used here: .*knows ${offered.join(', ')};`),
      );
      if (!offered.includes(device)) assert.match(error.message, /built without it/);
      return t.skip(error.message);
    }
    await expectLikeCpu(found);
  });
}
