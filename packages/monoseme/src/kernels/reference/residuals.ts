import { checkResiduals } from '../check.ts';
import type { Residuals, ResidualsInput } from '../contract.ts';
import { decode } from './decode.ts';
import { sampledProducts } from './sampled-products.ts';

/** See `KernelBackend.residuals`. */
export function residuals(input: ResidualsInput): Residuals {
  checkResiduals(input);
  const { codes, dOut, W_dec, target } = input;
  const { residuals: differences = new Float32Array(target.length) } = input;
  const reconstruction = decode(input);
  const squaredErrors = new Float64Array(codes.nRows);
  for (let row = 0; row < codes.nRows; row++) {
    for (let i = row * dOut; i < (row + 1) * dOut; i++) {
      differences[i] = reconstruction[i] - target[i];
      squaredErrors[row] += differences[i] * differences[i];
    }
  }
  const products = sampledProducts({ codes, dOut, rows: differences, W_dec });
  return { residuals: differences, squaredErrors, products };
}
