export { saveOnnx } from './onnx.ts';
