import assert from 'node:assert/strict';
import type { Dictionary } from '../dictionary/index.ts';
import { readSafetensors } from '../formats/index.ts';
import type { KernelBackend } from '../kernels/contract.ts';
import { selectBackend } from '../kernels/index.ts';
import { fixture } from './fixtures.ts';

/** What fixtures/make-saebench.py wrote. */
export interface SaeBenchGolden {
  readonly dictionary: Dictionary;
  readonly backend: KernelBackend;
  readonly tokens: Float32Array;
  readonly figures: {
    readonly core: Readonly<Record<CoreFigure, number>> & { readonly feature_density: readonly number[] };
    readonly probing: {
      readonly weights: readonly number[];
      readonly bias: number;
      readonly accuracy: number;
      readonly top_5_by_mean_difference: readonly number[];
      readonly effects: readonly number[];
      readonly ablated: readonly number[];
      readonly scores_ablated: Readonly<Record<'padded' | 'whole', readonly number[]>>;
    };
    readonly absorption: {
      readonly main: readonly number[];
      readonly fractions: readonly number[];
      readonly full: readonly boolean[];
    };
    readonly mdl: Readonly<Record<'from_100' | 'from_0', Readonly<Record<string, number>>>>;
  };
  /** An array of the file as f32. */
  tensor(name: string): Float32Array;
}

type CoreFigure =
  | `ce_loss_${'without_sae' | 'with_sae' | 'with_ablation' | 'score'}`
  | `kl_div_${'with_sae' | 'with_ablation' | 'score'}`
  | `explained_variance${'' | '_legacy'}`
  | `freq_over_${1 | 10}_percent`
  | 'l0'
  | 'l1'
  | 'l2_ratio'
  | 'cossim'
  | 'mse'
  | 'relative_reconstruction_bias'
  | 'frac_alive'
  | 'average_max_decoder_cosine_sim';

export async function saeBenchGolden(): Promise<SaeBenchGolden> {
  const file = await readSafetensors(fixture('golden/saebench.safetensors'));
  const tensors = new Map<string, Float32Array>();
  for (const name of file.names()) tensors.set(name, await file.floats(name));
  const figures = JSON.parse(file.metadata['saebench']) as SaeBenchGolden['figures'];
  await file.close();
  const tensor = (name: string) => tensors.get(name)!;
  const weights = {
    ...{ W_enc: tensor('W_enc'), b_enc: tensor('b_enc') },
    ...{ W_dec: tensor('W_dec'), b_dec: tensor('b_dec') },
  };
  const dictionary: Dictionary = {
    config: {
      ...{ architecture: 'standard', dIn: weights.b_dec.length, dSae: weights.b_enc.length },
      ...{ hookName: '', modelName: '', contextSize: undefined, applyBDecToInput: true, metadata: {} },
    },
    weights,
  };
  const backend = await selectBackend({ name: 'reference' });
  return { dictionary, backend, tokens: tensor('tokens'), figures, tensor };
}

export function near(actual: number, expected: number, tolerance = 1e-4): void {
  assert.ok(
    Math.abs(actual - expected) <= tolerance * Math.max(1, Math.abs(expected)),
    `${actual} for ${expected}`,
  );
}
