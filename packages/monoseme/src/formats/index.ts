export { atomicWrite } from './atomic-write.ts';
export { sha256, sha256File } from './hash.ts';
export { parseJson, readJson, readLimited, writeJson } from './json.ts';
export { LIMITS } from './limits.ts';
export { type Manifest, readManifest, writeManifest, TOOLKIT_VERSION } from './manifest.ts';
export { type RawTensor, readSafetensors, SafetensorsFile } from './safetensors-reader.ts';
export type { SafetensorsDtype } from './safetensors-header.ts';
export { type TensorToWrite, writeSafetensors } from './safetensors-writer.ts';
export { snakeCase, snakeCaseKeys } from './snake-case.ts';
