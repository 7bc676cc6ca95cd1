import { createRequire } from 'node:module';

/** Version of ONNX Runtime, for manifests: another version may round differently. */
export const RUNTIME_VERSION: string = createRequire(import.meta.url)(
  'onnxruntime-node/package.json',
).version;
