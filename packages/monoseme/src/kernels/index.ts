export type {
  AdamOptions,
  CenterInput,
  Codes,
  CodesByLatent,
  ColumnSumsInput,
  DecodeInput,
  EncodeInput,
  GeometricMedianInput,
  GradientInput,
  KernelBackend,
  Moments,
  Residuals,
  ResidualsInput,
  SampledProductsInput,
  Selection,
  UpdateRowsInput,
} from './contract.ts';
export { type BackendOptions, selectBackend } from './select-backend.ts';
