import { corruptCodes } from '../check.ts';
import type { Codes } from '../contract.ts';

/** @throws {MonosemeError} ERR_SHAPE when pointers go back or a latent is outside the dictionary. */
export function expectPairs(codes: Codes): void {
  for (let row = 0; row < codes.nRows; row++) {
    if (codes.rowPointers[row] > codes.rowPointers[row + 1]) {
      throw corruptCodes(`codes.rowPointers goes back at row ${row}.`);
    }
  }
  for (let pair = 0; pair < codes.latentIndices.length; pair++) {
    if (codes.latentIndices[pair] >= codes.dSae) {
      throw corruptCodes(`codes.latentIndices holds ${codes.latentIndices[pair]} (dSae is ${codes.dSae}).`);
    }
  }
}
