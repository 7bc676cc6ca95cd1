export { type Control, type ControlOptions, writeControl } from './control.ts';
export { type Edit, HookedModel, type HookedActivations, type Hooks, type RunInput } from './hooked-model.ts';
export { averageLogitJacobian, type JacobianOptions } from './logit-jacobian.ts';
export { type ModelBatch, ModelRunner, type RunnerOptions } from './model-runner.ts';
export { type HookPoint, OnnxModel } from './onnx-model.ts';
export type { OutcomeOptions, Outcomes } from './outcomes.ts';
export { RUNTIME_VERSION } from './runtime-version.ts';
export { type Axis, type TensorInfo } from './tensor-shapes.ts';
export type { TokenEdits, TokenOutcomes } from './token-outcomes.ts';
