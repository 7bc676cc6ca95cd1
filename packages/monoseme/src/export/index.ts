export { expectOnnx, saveOnnx } from './onnx.ts';
