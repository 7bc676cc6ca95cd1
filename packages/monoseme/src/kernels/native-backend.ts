import type { Binding, NativeKernels } from '@monoseme/kernels-native';
import { ERROR_CODES, MonosemeError, type ErrorCode } from '../errors.ts';
import {
  checkCenter,
  checkCoActivations,
  checkCodes,
  checkColumnSums,
  checkDecode,
  checkEncode,
  checkGeometricMedian,
  checkGradient,
  checkPairSums,
  checkNestedResiduals,
  checkProduct,
  checkResiduals,
  checkSampledProducts,
  checkScreen,
  checkUpdateRows,
} from './check.ts';
import type {
  CoActivations,
  Codes,
  CodesByLatent,
  KernelBackend,
  NestedResiduals,
  Residuals,
  ScreenedWeights,
} from './contract.ts';

/** Errors cross from Rust as `code \n message`; a panic has the code ERR_KERNEL. */
export function nativeError(error: unknown): MonosemeError {
  const message = error instanceof Error ? error.message : String(error);
  const [first, ...rest] = message.split('\n');
  const cause = { cause: error };
  if (first in ERROR_CODES && first !== 'ERR_KERNEL') {
    return new MonosemeError(
      first as ErrorCode,
      rest.join(' '),
      'Look at what was passed to the kernels.',
      cause,
    );
  }
  return new MonosemeError(
    'ERR_KERNEL',
    `The native kernels failed: ${(rest.length ? rest.join(' ') : message).trim()}.`,
    'Please report this; the reference backend does the same work.',
    cause,
  );
}

/** Bytes of a cache line. */
const LINE_BYTES = 64;

async function typed<T>(result: Promise<unknown>): Promise<T> {
  try {
    return (await result) as T;
  } catch (error) {
    throw nativeError(error);
  }
}

/**
 * The contract on the native kernels. Every call runs off the main thread, on arrays that are not copied.
 *
 * The checks run before anything is awaited, so that a caller's mistake is found in its own stack.
 */
export function nativeBackend(
  kernels: NativeKernels,
  threads: number,
  { place, release }: Pick<Binding, 'place' | 'release'> = { place: () => 0, release: () => {} },
): KernelBackend {
  function floats(length: number): Float32Array<ArrayBuffer> {
    const bytes = new Uint8Array(4 * length + LINE_BYTES);
    return new Float32Array(bytes.buffer, place(bytes), length);
  }
  return {
    name: 'native',
    description: `native ${kernels.instructionSet}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    threads,
    screeningPaysFrom: kernels.screeningPaysFrom ?? Infinity,
    screenedBytes: (dIn) => kernels.screenedSizes(dIn)[0],
    floats,
    release(arrays) {
      release(arrays.map(({ buffer }) => buffer));
    },
    async encode(input) {
      checkEncode(input);
      return typed<Codes>(kernels.encode(input));
    },
    async screen(input) {
      checkScreen(input);
      const [nBytes, nFacts] = kernels.screenedSizes(input.dIn).map((size) => size * input.dSae);
      const { buffer, byteOffset } = floats(nBytes / 4);
      const screened: ScreenedWeights = {
        bytes: new Int8Array(buffer, byteOffset, nBytes),
        facts: new Float32Array(nFacts),
      };
      await typed<void>(kernels.screen({ ...input, screened }));
      return screened;
    },
    async decode(input) {
      checkDecode(input);
      return typed<Float32Array>(kernels.decode(input));
    },
    async sampledProducts(input) {
      checkSampledProducts(input);
      return typed<Float32Array>(kernels.sampledProducts(input));
    },
    async residuals(input) {
      checkResiduals(input);
      const residuals = input.residuals ?? new Float32Array(input.codes.nRows * input.dOut);
      const errors = await typed<Omit<Residuals, 'residuals'>>(kernels.residuals({ ...input, residuals }));
      return { residuals, ...errors };
    },
    async nestedResiduals(input) {
      checkNestedResiduals(input);
      const errors = await typed<Omit<NestedResiduals, 'residuals'>>(kernels.nestedResiduals(input));
      return { residuals: input.residuals, ...errors };
    },
    async transpose(codes) {
      checkCodes(codes);
      return typed<CodesByLatent>(kernels.transpose(codes));
    },
    async addPairSums(input) {
      checkPairSums(input);
      await typed<void>(kernels.addPairSums(input));
    },
    async coActivations(input) {
      checkCoActivations(input);
      return typed<CoActivations>(kernels.coActivations(input));
    },
    async updateRows(input) {
      checkUpdateRows(input);
      await typed<void>(kernels.updateRows(input));
    },
    async squaredGradientNorm(input) {
      checkGradient(input);
      return typed<number>(kernels.squaredGradientNorm(input));
    },
    async product(input) {
      checkProduct(input);
      const sum = input.sum ?? new Float32Array(input.nRows * input.width);
      await typed<void>(kernels.product({ ...input, sum }));
      return sum;
    },
    async center(input) {
      checkCenter(input);
      await typed<void>(kernels.center(input));
    },
    async columnSums(input) {
      checkColumnSums(input);
      return typed<Float64Array>(kernels.columnSums(input));
    },
    async geometricMedian(input) {
      checkGeometricMedian(input);
      return typed<Float32Array>(kernels.geometricMedian(input));
    },
  };
}
