import { compareWithCpu, DEVICES, type DeviceComparison, ModelRunner, OnnxModel } from '../model/index.ts';
import { DEVICE_HOOK, deviceFigures, type DeviceFigures } from './device-figures.ts';
import { fixture } from './fixtures.ts';

export interface DeviceAnswer {
  readonly figures: DeviceFigures;
  readonly comparisons: readonly DeviceComparison[];
}

/** A program, `NAME.js DEVICE MODEL MODEL…`: what the first fixture model gives on a device, and how each compares with the CPU. */
const [name, ...names] = process.argv.slice(2);
const device = DEVICES.find((known) => known === name);
const models: OnnxModel[] = [];
for (const each of names) models.push(await OnnxModel.open(fixture(each), { device }));
// As long as a session lives, those after it find what was compiled for the device.
const kept = await ModelRunner.start(models[0], { hook: DEVICE_HOOK, threads: 1 });
const figures = await deviceFigures(models[0]);
const comparisons: DeviceComparison[] = [];
for (const model of models) comparisons.push(await compareWithCpu(model));
await kept.close();
const answer: DeviceAnswer = { figures, comparisons };
process.stdout.write(JSON.stringify(answer));
