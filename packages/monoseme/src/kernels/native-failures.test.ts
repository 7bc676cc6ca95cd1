import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { loadBinding } from '@monoseme/kernels-native';
import { MonosemeError, type ErrorCode } from '../errors.ts';
import { skipReason } from '../testing/every-backend.ts';
import { selectBackend } from './index.ts';
import { nativeError } from './native-backend.ts';

describe('kernels: native failures', { skip: skipReason('portable') }, nativeFailures);

function nativeFailures(): void {
  test('a panic becomes ERR_KERNEL, and the backend works on', async () => {
    const kernels = new (loadBinding().Kernels)(2);
    const failure = await kernels.panic('out of cheese').catch(nativeError);
    assert.equal(failure.code, 'ERR_KERNEL');
    assert.match(failure.message, /out of cheese/);
    assert.ok((await kernels.fmaFlopsPerSecond(1)) > 0);
  });

  test('the native side checks lengths itself', async () => {
    const kernels = new (loadBinding().Kernels)(1);
    const x = new Float32Array(2);
    const sizes = { nRows: 1000, dIn: 1000, dSae: 1000, dOut: 1000, width: 1000 };
    const codes = { ...sizes, rowPointers: new Uint32Array(1), latentIndices: new Uint32Array(9), values: x };
    const byLatent = {
      ...codes,
      latentPointers: codes.rowPointers,
      rowIndices: codes.rowPointers,
      pairIndices: codes.rowPointers,
    };
    const arrays = { codes, byLatent, x, W_enc: x, b_enc: x, W_dec: x, target: x, rows: x, points: x };
    const moments = { weights: x, firstMoments: x, secondMoments: x, coefficients: x };
    const adam = { learningRate: 0, beta1: 0, beta2: 0, epsilon: 0, step: 1 };
    const options = {
      selection: { kind: 'threshold' },
      constraint: 'none',
      adam,
      maxIterations: 1,
      tolerance: 0,
    };
    const input = {
      ...sizes,
      ...arrays,
      ...moments,
      ...options,
      scale: 1,
      offset: new Float32Array(3),
    };
    for (const name of [
      'encode',
      'decode',
      'sampledProducts',
      'residuals',
      'updateRows',
      'squaredGradientNorm',
      'center',
      'geometricMedian',
    ] as const) {
      const error = nativeError(
        await kernels[name](input).then(
          () => assert.fail(name),
          (failure: unknown) => failure,
        ),
      );
      assert.equal(error.code, 'ERR_SHAPE', `${name}: ${error.message}`);
    }
    assert.equal(
      nativeError(await kernels.transpose(codes).catch((failure: unknown) => failure)).code,
      'ERR_SHAPE',
    );
  });

  test('what cannot be had is refused, not replaced', async () => {
    const refused = (code: ErrorCode) => (error: unknown) =>
      error instanceof MonosemeError && error.code === code;
    await assert.rejects(selectBackend({ name: 'native', instructionSet: 'mmx' }), refused('ERR_BACKEND'));
    for (const threads of [0, 1.5, 5000]) {
      await assert.rejects(selectBackend({ name: 'native', threads }), refused('ERR_OPTION'));
    }
  });
}
