/** What the command line says to input that is wrong. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ended, startMonoseme } from '../testing/command-line.ts';

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-bad-input-'));
  await writeFile(join(folder, 'text.txt'), 'the cat sat on a mat\n'.repeat(400));
  const harvest = ['harvest', 'one-layer-a', '--text', 'text.txt', '--split', 'all', '--out', 'store'];
  const { code, stderr } = await monoseme(...harvest, '--hook', 'blocks.0.mlp.hook_post');
  assert.equal(code, 0, stderr);
});
after(() => rm(folder, { recursive: true }));

const TOO_MANY = ['--architecture', 'topk', '--k', '65', '--d-sae', '64'];
const monoseme = (...args: string[]) => ended(startMonoseme(args, { cwd: folder }));

describe('bad input: one line with a code, nothing left behind', () => {
  const cases: [string, number, string, string[]][] = [
    ['a command that does not exist', 2, 'ERR_USAGE', ['trian']],
    ['an option that does not exist', 2, 'ERR_USAGE', ['train', '--out', 'x', '--l2', '3']],
    ['an option without a number', 2, 'ERR_USAGE', ['train', '--out', 'x', '--d-sae', 'many']],
    ['an architecture that does not exist', 2, 'ERR_', ['train', '--out', 'x', '--architecture', 'tpok']],
    ['neither store nor model', 2, 'ERR_USAGE', ['train', '--out', 'bad']],
    ['a model that does not exist', 1, 'ERR_NOT_FOUND', ['inspect', 'no/such/model.onnx']],
    ['a file that is not ONNX', 1, 'ERR_MODEL', ['inspect', 'text.txt']],
    [
      'an unknown hook',
      1,
      'ERR_HOOK',
      ['harvest', 'one-layer-a', '--hook', 'blocks.0.mlp.hook_pots', '--out', 'bad'],
    ],
    [
      'text that does not exist',
      1,
      'ERR_NOT_FOUND',
      ['harvest', 'one-layer-a', '--text', 'none.txt', '--out', 'bad'],
    ],
    ['empty text', 1, 'ERR_EMPTY_TEXT', ['harvest', 'one-layer-a', '--text', 'empty.txt', '--out', 'bad']],
    [
      'top-k with an L1 coefficient',
      2,
      'ERR_OPTION',
      ['train', '--model', 'one-layer-a', '--architecture', 'topk', '--l1-coefficient', '1', '--out', 'bad'],
    ],
    ['d_sae 0', 2, 'ERR_OPTION', ['train', '--model', 'one-layer-a', '--d-sae', '0', '--out', 'bad']],
    [
      'd_sae beyond memory',
      1,
      'ERR_MEMORY',
      ['train', '--store', 'store', '--d-sae', '16000000', '--out', 'bad'],
    ],
    ['an unknown preset', 2, 'ERR_OPTION', ['train', '--store', 'store', '--preset', 'best', '--out', 'bad']],
    [
      'a largest norm of several hook points',
      2,
      'ERR_OPTION',
      [
        ...[
          'train',
          '--model',
          'one-layer-a',
          '--architecture',
          'crosscoder',
          '--max-norm-ratio',
          '10',
          '--out',
          'bad',
        ],
        ...['--hook', 'blocks.0.mlp.hook_post', '--hook', 'blocks.0.hook_resid_mid'],
      ],
    ],
    [
      'more tokens of a context than it has',
      2,
      'ERR_OPTION',
      ['harvest', 'one-layer-a', '--text', 'text.txt', '--tokens-per-context', '300', '--out', 'bad'],
    ],
    [
      'a bound on norms below the median',
      2,
      'ERR_OPTION',
      ['harvest', 'one-layer-a', '--text', 'text.txt', '--max-norm-ratio', '0.5', '--out', 'bad'],
    ],
    ['a store that is none', 1, 'ERR_NOT_FOUND', ['train', '--store', 'nowhere', '--out', 'bad']],
    ['a dictionary that is none', 1, 'ERR_NOT_FOUND', ['evaluate', 'nowhere']],
    ['a lying safetensors header', 1, 'ERR_FORMAT', ['evaluate', 'lying']],
    ['an index that is none', 1, 'ERR_NOT_FOUND', ['explore', 'nowhere']],
    [
      'a folder that is no tokenizer',
      1,
      'ERR_NOT_FOUND',
      ['harvest', 'one-layer-a', '--tokenizer', '.', '--out', 'bad'],
    ],
    [
      'a tokenizer that is none',
      1,
      'ERR_TOKENIZER',
      ['harvest', 'one-layer-a', '--tokenizer', 'empty.json', '--out', 'bad'],
    ],
  ];
  before(async () => {
    await writeFile(join(folder, 'empty.txt'), '');
    await writeFile(join(folder, 'empty.json'), '{}');
    await mkdir(join(folder, 'lying'));
    await writeFile(
      join(folder, 'lying/cfg.json'),
      JSON.stringify({ architecture: 'standard', d_in: 512, d_sae: 64, metadata: {} }),
    );
    const header = '{"W_enc":{"dtype":"F32","shape":[512,64],"data_offsets":[0,131072]}}';
    const bytes = Buffer.alloc(8 + header.length + 16);
    bytes.writeBigUInt64LE(BigInt(header.length));
    bytes.write(header, 8);
    await writeFile(join(folder, 'lying/sae_weights.safetensors'), bytes);
  });
  for (const [name, exitCode, errorCode, args] of cases) {
    test(name, async () => {
      const { code, stdout, stderr } = await monoseme(...args);
      assert.equal(code, exitCode, stderr);
      assert.equal(stdout, '');
      const last = stderr.trimEnd().split('\n').at(-1) as string;
      assert.ok(last.startsWith(errorCode), last);
      assert.ok(!/\n +at /.test(stderr), 'no stack trace');
      assert.ok(!existsSync(join(folder, 'bad/sae_weights.safetensors')));
    });
  }

  test('options that contradict each other are refused before any text is read', async () => {
    const { code, stderr } = await monoseme('train', '--model', 'one-layer-a', ...TOO_MANY, '--out', 'bad');
    assert.equal(code, 2, stderr);
    assert.match(stderr, /^ERR_OPTION: --k is 65, more than the 64 latents of --d-sae\./);
  });

  test('the error for a hook names the nearest ones', async () => {
    const { stderr } = await monoseme('harvest', 'one-layer-a', '--hook', 'mlp.hook_pots', '--out', 'bad');
    assert.match(stderr, /blocks\.0\.mlp\.hook_post/);
  });

  test('demo asks for its port before the long work', async () => {
    const taken = createServer().listen(0, '127.0.0.1');
    await once(taken, 'listening');
    const { port } = taken.address() as AddressInfo;
    const { code, stderr } = await monoseme('demo', '--port', String(port), '--out', 'bad');
    taken.close();
    assert.equal(code, 2, stderr);
    assert.match(stderr, new RegExp(`^ERR_OPTION: 127.0.0.1:${port} is in use`));
  });

  test('--debug adds the stack', async () => {
    const { stderr } = await monoseme('inspect', 'no/such/model.onnx', '--debug');
    assert.match(stderr, /\n +at /);
  });
});
