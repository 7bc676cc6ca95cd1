export { ArrayRunner, type ArrayRunnerOptions } from './array-runner.ts';
export { compareWithCpu, type DeviceComparison } from './compare-with-cpu.ts';
export { type Control, type ControlOptions, writeControl } from './control.ts';
export {
  type Edit,
  HookedModel,
  type HookedActivations,
  type Hooks,
  type RunInput,
  type SamplesInput,
  type TextCache,
} from './hooked-model.ts';
export { InputArrays } from './input-arrays.ts';
export { averageLogitJacobian, type JacobianOptions } from './logit-jacobian.ts';
export { type ModelBatch, ModelRunner, type RunnerOptions } from './model-runner.ts';
export { type HookPoint, OnnxModel } from './onnx-model.ts';
export { deviceText, expectTokens } from './model-session.ts';
export type { OutcomeOptions, Outcomes } from './outcomes.ts';
export type { RowAxes, RowAxis, RowLayout } from './row-layout.ts';
export { RUNTIME_VERSION } from './runtime-version.ts';
export { type Axis, type TensorInfo } from './tensor-shapes.ts';
export type { TokenEdits, TokenOutcomes } from './token-outcomes.ts';
export { type Device, DEVICES } from './worker-messages.ts';
