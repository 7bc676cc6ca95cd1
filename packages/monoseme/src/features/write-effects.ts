import { join } from 'node:path';
import { type Ablations, type CausalEffects, CHANGED_TOKENS } from './causal-effects.ts';
import { type TableRow, TableWriter } from './parquet-table.ts';
import { EFFECTS, type IndexFile, LATENTS_PER_PART, LATENTS_PER_ROW_GROUP, partName } from './schema.ts';
import { short, shorts } from './short-float.ts';

/** A loss change or divergence under this, in nats, is not worth its tokens. */
const LISTED_FROM = 0.001;

/** Write the parts of `effects/`: one row an ablation, by latent, then by token. */
export async function writeEffects(
  folder: string,
  { latents, positions }: Ablations,
  effects: CausalEffects,
  dSae: number,
): Promise<IndexFile[]> {
  const order = Uint32Array.from(latents, (_, i) => i).sort(
    (a, b) => latents[a] - latents[b] || positions[a] - positions[b],
  );
  const files: IndexFile[] = [];
  let next = 0;
  for (let part = 0; part * LATENTS_PER_PART < dSae; part++) {
    const table = new TableWriter(EFFECTS);
    const end = Math.min(dSae, (part + 1) * LATENTS_PER_PART);
    for (let latent = part * LATENTS_PER_PART; latent < end; latent += LATENTS_PER_ROW_GROUP) {
      for (; next < order.length && latents[order[next]] < latent + LATENTS_PER_ROW_GROUP; next++)
        table.add(effectRow(order[next], latents, positions, effects));
      table.endGroup();
    }
    const path = partName('effects', part);
    files.push({ path, ...(await table.finish(join(folder, path))) });
  }
  return files;
}

function effectRow(
  i: number,
  latents: Uint32Array,
  positions: Uint32Array,
  effects: CausalEffects,
): TableRow<typeof EFFECTS> {
  const listed = effects.divergences[i] >= LISTED_FROM ? CHANGED_TOKENS : 0;
  const list = <T extends Uint32Array | Float32Array>(values: T) =>
    values.subarray(i * CHANGED_TOKENS, i * CHANGED_TOKENS + listed) as T;
  return {
    latent_index: latents[i],
    token_index: positions[i],
    loss_change: short(effects.lossChanges[i]),
    kl: short(effects.divergences[i]),
    raised_tokens: list(effects.raised),
    raised: shorts(list(effects.raisedBy)),
    lowered_tokens: list(effects.lowered),
    lowered: shorts(list(effects.loweredBy)),
  };
}
