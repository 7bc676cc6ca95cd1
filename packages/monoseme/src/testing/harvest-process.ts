/**
 * A process that harvests a small model into a folder and is killed at it. It waits for a line before it starts, so that
 * its start can be waited for beside other work.
 */
import { once } from 'node:events';
import { ActivationStore } from '../activations/index.ts';
import { ModelRunner, OnnxModel } from '../model/index.ts';
import { fixture, randomTokens } from './fixtures.ts';

const model = await OnnxModel.open(fixture('models/one-layer'));
const runner = await ModelRunner.start(model, { hook: 'blocks.0.mlp.hook_post', threads: 1 });
process.stdout.write('ready\n');
const [folder] = await once(process.stdin, 'data');
await ActivationStore.write(String(folder).trim(), runner, randomTokens(120, 12), {
  contextsPerChunk: 1,
  rowsPerShard: 24,
});
process.exit(0);
