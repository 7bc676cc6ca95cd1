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
  PairSumsInput,
  NestedResiduals,
  NestedResidualsInput,
  ProductInput,
  Residuals,
  ResidualsInput,
  SampledProductsInput,
  ScreenedWeights,
  ScreenInput,
  Selection,
  SparseGradient,
  SparseSum,
  UpdateRowsInput,
} from './contract.ts';
export { withPassingResults } from './passing-results.ts';
export { screenedIfItPays } from './screening-pays.ts';
export { type BackendOptions, selectBackend } from './select-backend.ts';
