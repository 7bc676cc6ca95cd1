/** The command line as a user meets it: a process, its exit code, and what it prints where. */
import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import { openFeatureIndex } from '../features/index.ts';
import { writeSafetensors } from '../formats/index.ts';
import { ended, type Ended, startMonoseme } from '../testing/command-line.ts';

const BENCHMARK_SCHEMA = fileURLToPath(new URL('../../../../docs/benchmark.schema.json', import.meta.url));
const SMALL = ['--tokens', '20k', '--d-sae', '64', '--batch-rows', '256', '--buffer-rows', '4096'];

let folder: string;
let text: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-cli-'));
  text = join(folder, 'text.txt');
  const words = ['the cat sat', 'on a mat', 'and 1 2 3', 'function f() {', 'return x; }'];
  await writeFile(text, Array.from({ length: 9000 }, (_, i) => words[(i * i + i) % 5]).join('\n'));
});
after(() => rm(folder, { recursive: true }));

const start = (...args: string[]) => startMonoseme(args, { cwd: folder });
const monoseme = (...args: string[]) => ended(start(...args));

describe('the way by single commands', () => {
  test('harvest, train, evaluate, benchmark, index', async () => {
    const hook = ['--hook', 'blocks.0.mlp.hook_post'];
    const harvest = ['harvest', 'one-layer-a', ...hook, '--text', text, '--tokens', '20k', '--out', 'store'];
    const harvested = await monoseme(...harvest, '--split', 'all', '--json');
    assert.equal(harvested.code, 0, harvested.stderr);
    assert.equal(JSON.parse(harvested.stdout).tokens, 19968);

    const trained = await monoseme('train', '--store', 'store', ...SMALL, '--out', 'dictionary', '--json');
    assert.equal(trained.code, 0, trained.stderr);
    assert.match(trained.stderr, /^kernels +(native|reference)/m);
    assert.ok(JSON.parse(trained.stdout).l0 > 0);
    assert.ok(existsSync(join(folder, 'dictionary/sae_weights.safetensors')));

    for (const line of trained.stderr.trimEnd().split('\n')) assert.ok(line.length <= 80, line);
    for (const stage of ['encode', 'decode', 'gradients', 'update', 'wait'])
      assert.match(trained.stderr, new RegExp(`^time .*${stage} \\d+ %`, 'm'));
    assert.match(trained.stderr, /read \d+\.\d s beside the steps/);

    const topK = ['--architecture', 'topk', '--k', '5', '--out', 'top-k', '--json'];
    const other = await monoseme('train', '--store', 'store', ...SMALL, ...topK);
    assert.equal(other.code, 0, other.stderr);
    const l0 = JSON.parse(other.stdout).l0 as number;
    assert.ok(l0 > 0 && l0 <= 5, `${l0}`);
    const config = JSON.parse(await readFile(join(folder, 'top-k/cfg.json'), 'utf8')) as object;
    assert.deepEqual(Object.entries(config).slice(0, 2), [
      ['architecture', 'topk'],
      ['k', 5],
    ]);

    const source = ['--model', 'one-layer-a', '--text', text, '--split', 'all'];
    const evaluated = await monoseme('evaluate', 'dictionary', ...source, '--tokens', '4k', '--json');
    assert.equal(evaluated.code, 0, evaluated.stderr);
    assert.ok(JSON.parse(evaluated.stdout).explained_variance <= 1);
    assert.ok(existsSync(join(folder, 'dictionary/evaluation.json')));

    const rows = Array.from({ length: 240 }, (_, i) =>
      JSON.stringify({
        text: `${i % 2 ? 'the cat sat on a mat' : 'return x; function f() {'} ${i}`,
        label: i % 2 ? 'prose' : 'code',
        even: i % 4 < 2,
      }),
    );
    await writeFile(join(folder, 'labels.jsonl'), rows.join('\n'));
    const labels = [
      '--labels',
      'labels.jsonl',
      '--spurious-field',
      'even',
      '--with',
      'top-k',
      '--words',
      '400',
    ];
    const benchmarked = await monoseme(
      'benchmark',
      'dictionary',
      ...source,
      ...labels,
      '--tokens',
      '4k',
      '--json',
    );
    assert.equal(benchmarked.code, 0, benchmarked.stderr);
    const { report, page } = JSON.parse(benchmarked.stdout) as Record<string, string>;
    const json = JSON.parse(await readFile(join(folder, report), 'utf8')) as {
      results: Record<string, object>;
    };
    const validate = new Ajv().compile(JSON.parse(await readFile(BENCHMARK_SCHEMA, 'utf8')) as object);
    assert.ok(validate(json), JSON.stringify(validate.errors));
    assert.equal(Object.keys(json.results).length, 6);
    assert.doesNotMatch(await readFile(join(folder, page), 'utf8'), /NaN|undefined/);
    const lacking = await monoseme(
      'benchmark',
      'dictionary',
      ...source,
      '--measure',
      'scr',
      ...labels.slice(0, 2),
    );
    assert.deepEqual([lacking.code, /scr needs --spurious-field/.test(lacking.stderr)], [2, true]);

    const indexed = await monoseme('index', 'dictionary', ...source, '--tokens', '8k', '--out', 'index');
    assert.equal(indexed.code, 0, indexed.stderr);
    assert.equal(indexed.stdout, 'index\n');
    const manifest = JSON.parse(await readFile(join(folder, 'index/manifest.json'), 'utf8'));
    assert.equal(manifest.kind, 'feature-index');

    const stored = await monoseme('index', 'dictionary', '--store', 'store', '--out', 'stored');
    assert.equal(stored.code, 0, stored.stderr);
    const index = await openFeatureIndex(join(folder, 'stored'));
    assert.deepEqual([index.details.corpus.n_tokens, index.details.logits], [19968, null]);
    const first = await index.tokens(0, 64);
    const vocabulary = await index.vocabulary();
    assert.match(Array.from(first, (token) => vocabulary[token]).join(''), /[a-z]{3}/);
    const both = await monoseme('index', 'dictionary', '--store', 'store', '--text', text, '--out', 'none');
    assert.equal(both.code, 2);
    assert.match(both.stderr, /^ERR_USAGE: --store and --text/m);
  });

  test('a store and a text exclude each other; a model that changed since training is noticed', async () => {
    const both = await monoseme('train', '--store', 'store', '--text', text, ...SMALL, '--out', 'none');
    assert.equal(both.code, 2);
    assert.match(both.stderr, /^ERR_USAGE: --store and --text .* were both given/m);

    const config = JSON.parse(await readFile(join(folder, 'dictionary/cfg.json'), 'utf8'));
    assert.match(config.metadata.model_sha256, /^[0-9a-f]{64}$/);
    config.metadata.model_sha256 = '0'.repeat(64);
    await cp(join(folder, 'dictionary'), join(folder, 'other'), { recursive: true });
    await writeFile(join(folder, 'other/cfg.json'), JSON.stringify(config));
    const source = ['--text', text, '--split', 'all', '--tokens', '2k'];
    for (const command of [['evaluate'], ['index', '--out', 'other-index']]) {
      const changed = await monoseme(...command, 'other', ...source);
      assert.match(
        changed.stderr,
        /^ERR_MISMATCH: .*one-layer-a.* is not the model that the dictionary was/m,
      );
    }
    const named = await monoseme('evaluate', 'other', '--model', 'one-layer-a', ...source);
    assert.equal(named.code, 0, named.stderr);
  });

  test('steer: the original and one continuation for each strength, sampled with a seed', async () => {
    const edit = ['--latent', '3', '--latent', '4', '--clamp', '0,9', '--ablate'];
    const how = ['--prompt', 'the cat', '--tokens', '5', '--temperature', '0.8', '--seed', '2'];
    const { code, stdout, stderr } = await monoseme('steer', 'dictionary', ...edit, ...how, '--json');
    assert.equal(code, 0, stderr);
    const { continuations } = JSON.parse(stdout) as { continuations: Record<string, unknown>[] };
    assert.deepEqual(
      continuations.map(({ version }) => version),
      ['original', 'clamp 0', 'clamp 9', 'ablate'],
    );
    const [original, clamped, , ablated] = continuations;
    assert.deepEqual({ ...ablated, version: '' }, { ...clamped, version: '' });
    for (const name of ['tokens', 'log_probs', 'original_log_probs'])
      assert.equal((original[name] as unknown[]).length, 5);
    const shown = await monoseme('steer', 'dictionary', ...edit, ...how);
    assert.match(shown.stdout, /^version .*\noriginal .*\nclamp 0 /);
    const none = await monoseme('steer', 'dictionary', '--latent', '3', '--prompt', 'a');
    assert.match(none.stderr, /^ERR_USAGE: Nothing says how/m);
    const wrong = await monoseme('steer', 'dictionary', '--latent', '64', '--ablate', '--prompt', 'a');
    assert.match(wrong.stderr, /^ERR_OPTION: There is no latent 64/m);
  });

  test('steer: edits of the activations themselves, with and without a dictionary, at some places', async () => {
    const hook = ['--model', 'one-layer-a', '--hook', 'blocks.0.mlp.hook_post'];
    const how = ['--prompt', 'the cat', '--tokens', '4', '--json'];
    const direction = {
      direction: { dtype: 'F32' as const, shape: [512], data: new Float32Array(512).fill(1) },
    };
    await writeSafetensors(join(folder, 'direction.safetensors'), direction, {});
    direction.direction.data[7] = NaN;
    await writeSafetensors(join(folder, 'broken.safetensors'), direction, {});
    const continuations = async (...args: string[]) => {
      const { code, stdout, stderr } = await monoseme('steer', ...args, ...how);
      assert.equal(code, 0, stderr);
      return (JSON.parse(stdout) as { continuations: { version: string; tokens: string[] }[] }).continuations;
    };
    const edits = ['--zero', '--mean', 'store', '--resample', 'store'];
    const add = ['--direction', 'direction.safetensors', '--strength', '0,9'];
    const found = await continuations(...hook, ...edits, ...add);
    assert.deepEqual(
      found.map(({ version }) => version),
      ['original', 'zero', 'mean', 'resample', 'add 0 × direction', 'add 9 × direction'],
    );
    assert.deepEqual(found[4].tokens, found[0].tokens);
    assert.ok(new Set([0, 1, 5].map((i) => found[i].tokens.join())).size > 1);
    const elsewhere = await continuations(...hook, '--zero', '--positions', '90-99');
    assert.deepEqual(elsewhere[1].tokens, elsewhere[0].tokens);
    const [, reconstructed] = await continuations('dictionary', '--reconstruct');
    assert.equal(reconstructed.version, 'reconstruct');
    for (const [args, message] of [
      [['--zero'], /^ERR_USAGE: Without a dictionary nothing says which model/m],
      [[...hook], /^ERR_USAGE: Nothing says what to edit/m],
      [[...hook, '--reconstruct'], /^ERR_USAGE: Latents are those of a dictionary/m],
      [[...hook, '--strength', '2'], /^ERR_USAGE: --strength was given without --direction/m],
      [
        [...hook, '--direction', 'broken.safetensors'],
        /^ERR_NOT_FINITE: Element 7 of broken\.safetensors is NaN/m,
      ],
      [[...hook, '--zero', '--positions', '5-2'], /^ERR_USAGE: .*0,4-6/m],
    ] as const) {
      const { code, stderr } = await monoseme('steer', ...args, '--prompt', 'a');
      assert.notEqual(code, 0);
      assert.match(stderr, message);
    }
  });

  test('inspect lists hook points', async () => {
    const { code, stdout } = await monoseme('inspect', 'one-layer-a');
    assert.equal(code, 0);
    assert.match(stdout, /blocks\.0\.mlp\.hook_post +Relu +\[batch, sequence, 512\]/);
  });

  test('a folder without a model does not hide the embedded model of its name', async () => {
    await mkdir(join(folder, 'one-layer-b'));
    await writeFile(join(folder, 'one-layer-b', 'manifest.json'), '{}');
    const { code, stdout } = await monoseme('inspect', 'one-layer-b');
    assert.equal(code, 0);
    assert.match(stdout, /blocks\.0\.mlp\.hook_post/);
  });
});

describe('help', () => {
  const commands =
    'demo inspect control plan harvest import verify train architectures toy sweep evaluate benchmark analyze reproduce index convert explanations explore export steer';
  for (const command of commands.split(' ')) {
    test(`${command} --help shows an example, within 80 columns`, async () => {
      const { code, stdout } = await monoseme(command, '--help');
      assert.equal(code, 0);
      assert.match(stdout, new RegExp(`Examples?:\n +monoseme ${command}`));
      for (const line of stdout.split('\n')) assert.ok(line.length <= 80, line);
    });
  }
});

const DEMO = ['demo', '--no-serve', '--json', ...SMALL, '--tokens', '10k', '--checkpoint-every', '5'];
const unchanged = ({ stderr }: Ended) =>
  stderr.split('\n').filter((line) => line.includes('unchanged')).length;

/** What a process comes to that gets Ctrl-C as soon as `isDue`, which is told what it has printed. */
async function stoppedWhen(
  child: ReturnType<typeof start>,
  isDue: (seen: string) => boolean,
): Promise<Ended> {
  let seen = '';
  child.stderr.on('data', (part: Buffer) => (seen += part.toString()));
  const watch = setInterval(() => {
    if (!child.killed && isDue(seen)) child.kill('SIGINT');
  }, 1);
  const end = await ended(child);
  clearInterval(watch);
  return end;
}

describe('Ctrl-C: exit code 1, one line, and the same command goes on', () => {
  /**
   * When a stage is under way: its predecessor has printed its closing line (in ten seconds it also prints how far it is), or
   * the file it writes first is there.
   */
  const stages: [string, (out: string, stderr: string) => boolean, goesOn: RegExp][] = [
    ['reading text', (_, stderr) => /^kernels/m.test(stderr), /^kernels/],
    ['training', (out) => existsSync(join(out, 'dictionary/training/metrics.jsonl')), /^tokens /m],
    ['evaluating', (_, stderr) => /^train .* steps/m.test(stderr), /^train .*\(resumed at \d+\)/m],
    ['indexing', (_, stderr) => /^evaluate .* recovered/m.test(stderr), /^train .*unchanged[^]*^evaluate /m],
  ];
  // In one folder: each goes on where the one before it was stopped.
  const out = () => join(folder, 'stopped');
  for (const [stage, isUnderWay, goesOn] of stages) {
    test(`while ${stage}`, { timeout: 180_000 }, async () => {
      const isDue = (seen: string) => isUnderWay(out(), seen);
      const { code, stdout, stderr } = await stoppedWhen(start(...DEMO, '--out', out()), isDue);
      assert.equal(code, 1, stderr);
      assert.equal(stdout, '');
      assert.match(stderr, goesOn);
      assert.match(
        stderr.trimEnd().split('\n').at(-1) as string,
        /^ERR_INTERRUPTED: Interrupted\. Run the same command again to go on\.$/,
      );
      const files = existsSync(out()) ? await readdir(out(), { recursive: true }) : [];
      assert.ok(!files.includes('index/manifest.json'), files.join(' '));
    });
  }

  test('then to its end', { timeout: 180_000 }, async () => {
    const ended = await monoseme(...DEMO, '--out', out());
    assert.equal(ended.code, 0, ended.stderr);
    assert.equal(unchanged(ended), 2, ended.stderr);
    assert.ok(existsSync(join(JSON.parse(ended.stdout).index, 'manifest.json')));
  });
});

test('a training that was interrupted says how to go on, and so does who takes it for a dictionary', async () => {
  const args = [
    'train',
    '--model',
    'one-layer-a',
    '--text',
    text,
    ...SMALL,
    '--tokens',
    '2M',
    '--out',
    'unended',
  ];
  const stopped = await stoppedWhen(start(...args), () =>
    existsSync(join(folder, 'unended/training/metrics.jsonl')),
  );
  assert.match(
    stopped.stderr,
    /^ERR_INTERRUPTED: Interrupted\. Run the same command with --resume to go on\.$/m,
  );
  const { code, stderr } = await monoseme('convert', 'unended', 'copy', '--format', 'sparsify');
  assert.equal(code, 1);
  assert.match(
    stderr,
    /^ERR_NOT_FOUND: The training in unended has not ended\. Run its command again \(train with --resume\), or take .*, unended\/training\/checkpoint\.$/m,
  );
  const taken = await monoseme('convert', 'unended/training/checkpoint', 'copy', '--format', 'gemma-scope');
  assert.equal(taken.code, 0, taken.stderr);
});

test('a command that keeps nothing says so when it is interrupted', async () => {
  const { stderr } = await stoppedWhen(start('toy', '--set', 'circle'), (seen) => seen.includes('kernels'));
  assert.match(stderr, /^ERR_INTERRUPTED: Interrupted\. The same command begins anew\.$/m);
});

test(
  'a second demo uses again what is unchanged, and makes anew what is not',
  { timeout: 180_000 },
  async () => {
    const out = join(folder, 'stopped');
    assert.equal(unchanged(await monoseme(...DEMO, '--out', out)), 3);
    assert.equal(unchanged(await monoseme(...DEMO, '--out', out, '--l1-coefficient', '3')), 0);
  },
);

test('the architectures fit a terminal of 80 columns and name their flags', async () => {
  const { stdout } = await monoseme('architectures');
  assert.ok(stdout.split('\n').every((line) => line.length <= 80));
  assert.match(stdout, /^topk\n {2}the k largest [^]*?\n {2}Gao et al\. 2024\n {2}--k --k-warm-up /m);
});

test('a reader that leaves early is no error', async () => {
  const child = start('inspect', 'one-layer-a', '--all', '--json');
  child.stdout.destroy();
  const { stderr } = await ended(child);
  assert.equal(stderr, '');
});
