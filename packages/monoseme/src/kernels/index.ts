export type {
  AdamOptions,
  Codes,
  CodesByLatent,
  DecodeInput,
  EncodeInput,
  GeometricMedianInput,
  KernelBackend,
  Residuals,
  ResidualsInput,
  SampledProductsInput,
  Selection,
  UpdateRowsInput,
} from './contract.ts';
export { type BackendOptions, selectBackend } from './select-backend.ts';
