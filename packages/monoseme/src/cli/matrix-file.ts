import { openArrays } from '../formats/index.ts';

/** The first array of a file (.safetensors, .npz or .pt) as f32, row-major. @throws {MonosemeError} as `openArrays` */
export async function readMatrix(path: string): Promise<Float32Array> {
  const file = await openArrays(path);
  try {
    return await file.floats(file.names()[0] ?? '');
  } finally {
    await file.close();
  }
}
