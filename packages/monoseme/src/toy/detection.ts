import type { Codes } from '../kernels/contract.ts';

/** How well latents tell when their features are there. Means over the matched latents. */
export interface DetectionFigures {
  /** 2 · both / (latent active + feature active); 0 for a latent that never fires. */
  readonly f1: number;
  /** both / latent active */
  readonly precision: number;
  /** both / feature active */
  readonly recall: number;
}

/** Counts, over rows, of matched latents and features that are active, and of both. */
export class Detection {
  readonly #featureOfLatent: Int32Array;
  readonly #latentRows: Float64Array;
  readonly #featureRows: Float64Array;
  readonly #bothRows: Float64Array;

  /** @param featureOfLatent [dSae]: the feature that a latent is to detect, −1 for none */
  constructor(featureOfLatent: Int32Array, nFeatures: number) {
    this.#featureOfLatent = featureOfLatent;
    this.#latentRows = new Float64Array(featureOfLatent.length);
    this.#bothRows = new Float64Array(featureOfLatent.length);
    this.#featureRows = new Float64Array(nFeatures);
  }

  /** Codes of a batch beside the true activations of the same rows. */
  add(codes: Codes, truth: Codes): void {
    const present = new Uint8Array(this.#featureRows.length);
    for (let row = 0; row < codes.nRows; row++) {
      const features = truth.latentIndices.subarray(truth.rowPointers[row], truth.rowPointers[row + 1]);
      for (const feature of features) {
        present[feature] = 1;
        this.#featureRows[feature]++;
      }
      for (let pair = codes.rowPointers[row]; pair < codes.rowPointers[row + 1]; pair++) {
        const latent = codes.latentIndices[pair];
        this.#latentRows[latent]++;
        const feature = this.#featureOfLatent[latent];
        if (feature >= 0 && present[feature] === 1) this.#bothRows[latent]++;
      }
      for (const feature of features) present[feature] = 0;
    }
  }

  figures(): DetectionFigures {
    const sums = { f1: 0, precision: 0, recall: 0 };
    let matched = 0;
    this.#featureOfLatent.forEach((feature, latent) => {
      if (feature < 0) return;
      matched++;
      const both = this.#bothRows[latent];
      if (both === 0) return;
      sums.f1 += (2 * both) / (this.#latentRows[latent] + this.#featureRows[feature]);
      sums.precision += both / this.#latentRows[latent];
      sums.recall += both / this.#featureRows[feature];
    });
    return { f1: sums.f1 / matched, precision: sums.precision / matched, recall: sums.recall / matched };
  }
}
