/**
 * The compiled kernels. What the primitives compute, and the shapes of their arrays, is said in the contract of
 * `monoseme`; their inputs and results have its fields. Errors have the message `code \n what was wrong`.
 */
export interface Binding {
  /** Names of the instruction sets of this CPU, fastest first. */
  instructionSets(): string[];
  /** The first byte of an array that starts a cache line; from there on it gets large pages where the system has them. */
  place(bytes: Uint8Array): number;
  /** Gives the memory of arrays back at once: they have no elements afterwards. No pending call may read them. */
  release(arrays: ArrayBufferLike[]): void;
  /** Most bytes that the kernels held at once so far, results that JavaScript still has among them. */
  mostHeldBytes(): number;
  /** The calling thread, and threads it starts, compute with 0 in place of numbers below 1.2e-38 from now on. */
  flushSubnormals(): void;
  Kernels: new (threads: number, instructionSet?: string) => NativeKernels;
}

export interface NativeKernels {
  readonly instructionSet: string;
  /** Latents from which on screening is faster here than f32, where few of them are active; null where it never is. */
  readonly screeningPaysFrom: number | null;
  /** Pre-activations that screening left to be worked out in fp32 one by one, in all calls so far. */
  readonly candidates: number;
  /** Bytes and facts that `screen` makes of a latent. */
  screenedSizes(dIn: number): number[];
  screen(input: object): Promise<unknown>;
  encode(input: object): Promise<unknown>;
  decode(input: object): Promise<unknown>;
  sampledProducts(input: object): Promise<unknown>;
  residuals(input: object): Promise<unknown>;
  nestedResiduals(input: object): Promise<unknown>;
  product(input: object): Promise<unknown>;
  transpose(codes: object): Promise<unknown>;
  addPairSums(input: object): Promise<unknown>;
  coActivations(input: object): Promise<unknown>;
  updateRows(input: object): Promise<unknown>;
  squaredGradientNorm(input: object): Promise<unknown>;
  center(input: object): Promise<unknown>;
  columnSums(input: object): Promise<unknown>;
  geometricMedian(input: object): Promise<unknown>;
  /** fp32 operations a second of all threads together, measured for so long; a multiply-add counts as two. */
  fmaFlopsPerSecond(milliseconds: number): Promise<number>;
  /** Operations on bytes a second of all threads together; a product and its addition count as two. */
  byteOperationsPerSecond(milliseconds: number): Promise<number>;
  /** Bytes a second that all threads together read from an array of so many bytes. */
  bandwidthBytesPerSecond(bytes: number, milliseconds: number): Promise<number>;
  /** Panics in the threads of the pool: rejects. */
  panic(message: string): Promise<never>;
}

/** Throws when the binding was not built, or cannot run on this machine. */
export function loadBinding(): Binding;
