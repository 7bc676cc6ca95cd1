/**
 * Limits on what is read from outside, each with its reason. They stop a hostile or broken file from taking
 * the machine's memory; no honest file of its kind comes near them.
 */
export const LIMITS = {
  /**
   * A manifest or configuration is a few kilobytes; a tokenizer, the largest JSON read whole, about 10 MB.
   */
  jsonBytes: 64 * 2 ** 20,
  /**
   * Nesting of JSON. The deepest document of this project has 5 levels, published configurations fewer than
   * 20.
   */
  jsonDepth: 64,
  /** A safetensors header takes about 150 bytes a tensor: this is two hundred thousand tensors. */
  safetensorsHeaderBytes: 32 * 2 ** 20,
  /** Axes of one tensor. ONNX Runtime, NumPy and PyTorch stop at 64 or before. */
  tensorRank: 64,
  /** One allocation. Node 20 cannot make a larger array; larger tensors are read by rows. */
  arrayBytes: 2 ** 32,
} as const;
