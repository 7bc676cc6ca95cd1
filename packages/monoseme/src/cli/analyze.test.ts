/** `monoseme analyze` as a user meets it: what it writes, and what it says to input that does not fit. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import Ajv from 'ajv';
import { loadDictionary, saveDictionary } from '../dictionary/index.ts';
import { ended, startMonoseme } from '../testing/command-line.ts';

const MODELS = fileURLToPath(new URL('../../../../models', import.meta.url));
const SCHEMA = fileURLToPath(new URL('../../../../docs/analyses.schema.json', import.meta.url));

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-analyze-'));
  const words = ['the cat sat', 'on a mat', 'and 1 2 3', 'function f() {', 'return x; }'];
  for (let i = 0; i < 40; i++) {
    const lines = Array.from({ length: 225 }, (_, line) => words[((225 * i + line) ** 2 + line) % 5]);
    await mkdir(join(folder, 'texts'), { recursive: true });
    await writeFile(join(folder, `texts/${i}.txt`), lines.join('\n'));
  }
  await train('dictionary', 'one-layer-a', '--d-sae', '64');
  await train('larger', 'one-layer-a', '--d-sae', '96', '--architecture', 'topk', '--k', '5');
});
after(() => rm(folder, { recursive: true }));

const monoseme = (...args: string[]) => ended(startMonoseme(args, { cwd: folder }));

async function train(out: string, model: string, ...more: string[]): Promise<void> {
  const small = ['--tokens', '20k', '--batch-rows', '256', '--buffer-rows', '4096'];
  const { code, stderr } = await monoseme(
    ...['train', '--model', model, '--text', 'texts', '--out', out, ...small, ...more],
  );
  assert.equal(code, 0, stderr);
}

const SOURCE = ['--text', 'texts', '--split', 'all', '--tokens', '4k'];
/** Every analysis, and what it is given. */
const ANALYSES: readonly (readonly string[])[] = [
  ['proxies', 'dictionary', '--by-source', '--controls', '--pattern', 'cat=cat', '--latent', '3'],
  ['universality', 'dictionary', 'larger', '--effects'],
  ['splitting', 'dictionary', 'larger', '--latent', '3'],
  ['automata', 'dictionary'],
  ['motifs', 'dictionary'],
  ['neurons', 'dictionary', '--latent', '3'],
  ['groups', 'dictionary'],
  ['persistence', 'dictionary'],
  ['controls', 'dictionary', '--shuffled', 'larger'],
  ['effects', 'dictionary', '--latent', '3', '--samples', '1'],
];

for (const [analysis, ...args] of ANALYSES)
  test(`analyze ${analysis}: the JSON is of its schema, the page holds no NaN`, async () => {
    const found = await monoseme('analyze', analysis, ...args, ...SOURCE, '--json');
    assert.equal(found.code, 0, found.stderr);
    const { report, page } = JSON.parse(found.stdout) as Record<string, string>;
    const json = JSON.parse(await readFile(join(folder, report), 'utf8')) as Record<string, unknown>;
    assert.equal(json['analysis'], analysis);
    assert.match(String(json['command']), new RegExp(`^monoseme analyze ${analysis} dictionary`));
    await expectOfSchema(analysis, json);
    assert.doesNotMatch(await readFile(join(folder, page), 'utf8'), /NaN|undefined/);
  });

async function expectOfSchema(analysis: string, json: unknown): Promise<void> {
  const schema = JSON.parse(await readFile(SCHEMA, 'utf8')) as { definitions: Record<string, object> };
  const validate = new Ajv().addSchema(schema, 'all').compile({
    $ref: `all#/definitions/${analysis}`,
  });
  assert.ok(validate(json), JSON.stringify(validate.errors?.slice(0, 5), undefined, 1));
  assert.ok(new Ajv().compile(schema)(json), 'as one of all');
}

test('two models with different tokenizers are compared by pieces of text; other analyses refuse them', async () => {
  await mkdir(join(folder, 'other-model'));
  for (const file of ['model.onnx', 'config.json'])
    await copyFile(join(MODELS, 'one-layer-b', file), join(folder, 'other-model', file));
  const tokenizer = JSON.parse(await readFile(join(MODELS, 'one-layer-b/tokenizer.json'), 'utf8')) as {
    model: { merges: unknown[] };
  };
  tokenizer.model.merges.length = 500; // shorter tokens, all of them of its vocabulary
  await writeFile(join(folder, 'other-model/tokenizer.json'), JSON.stringify(tokenizer));
  await train('other', 'other-model', '--d-sae', '64');
  const found = await monoseme('analyze', 'universality', 'dictionary', 'other', ...SOURCE, '--json');
  assert.equal(found.code, 0, found.stderr);
  const { report } = JSON.parse(found.stdout) as { report: string };
  const json = JSON.parse(await readFile(join(folder, report), 'utf8'));
  await expectOfSchema('universality', json);
  assert.equal(json.unit, 'pieces of text');
  assert.ok(json.n_compared > 1000 && json.n_compared < 4096, `${json.n_compared}`);
  assert.ok(json.latents.matches.some((match: unknown) => match !== null));
  assert.ok(json.made_from.tokens !== json.made_from.tokens_2);
  for (const args of [
    ['splitting', 'dictionary', 'other'],
    ['universality', 'dictionary', 'other', '--effects'],
  ]) {
    const refused = await monoseme('analyze', ...args, ...SOURCE);
    assert.equal(refused.code, 1, refused.stderr);
    assert.match(refused.stderr, /^ERR_MISMATCH: The (models of the dictionaries|tokenizers) /m);
  }
});

test('a larger dictionary named first is refused; another model than that of the training is pointed out', async () => {
  const refused = await monoseme('analyze', 'splitting', 'larger', 'dictionary', ...SOURCE);
  assert.match(refused.stderr, /^ERR_OPTION: The first dictionary has 96 latents, more than the 64 of /m);
  const other = await monoseme('analyze', 'motifs', 'dictionary', '--model', 'one-layer-b', ...SOURCE);
  assert.equal(other.code, 0, other.stderr);
  assert.match(other.stderr, /^model +one-layer-b is not the one that the dictionary was trained on$/m);
});

test('latents that never fire: plainly marked, never NaN', async () => {
  const { config, weights } = await loadDictionary(join(folder, 'dictionary'));
  const b_enc = new Float32Array(config.dSae).fill(-1e9);
  await saveDictionary(join(folder, 'silent'), { config, weights: { ...weights, b_enc } });
  const cases: readonly (readonly [string, RegExp, ...string[]])[] = [
    ['proxies', /^No concept can be compared/, 'silent'],
    ['universality', /is –/, 'silent', 'dictionary'],
    [
      'splitting',
      /^0 of the 0 compared latents .*none is common enough/,
      'silent',
      'dictionary',
      '--latent',
      '3',
    ],
    ['automata', /^0 systems/, 'silent'],
    ['motifs', /give more text/, 'silent'],
    ['neurons', /give more text|–/, 'silent'],
    ['groups', /^No three latents/, 'silent'],
    ['persistence', /give more text/, 'silent'],
    ['effects', /Never active on this text: 3/, 'silent', '--latent', '3', '--samples', '1'],
  ];
  for (const [analysis, summary, ...args] of cases) {
    const found = await monoseme('analyze', analysis, ...args, ...SOURCE, '--json');
    assert.equal(found.code, 0, `${analysis}: ${found.stderr}`);
    const result = JSON.parse(found.stdout) as Record<string, string>;
    assert.match(result['summary'], summary);
    await expectOfSchema(analysis, JSON.parse(await readFile(join(folder, result['report']), 'utf8')));
    assert.doesNotMatch(
      await readFile(join(folder, result['page']), 'utf8'),
      /NaN|undefined|Infinity/,
      analysis,
    );
  }
  const evaluated = await monoseme('evaluate', 'silent', ...SOURCE, '--json');
  assert.equal(evaluated.code, 0, evaluated.stderr);
  assert.equal(JSON.parse(evaluated.stdout).l0, 0);
  assert.doesNotMatch(
    await readFile(join(folder, 'silent/evaluation.html'), 'utf8'),
    /NaN|undefined|Infinity/,
  );
});

test('a dictionary that does not fit, labels of one class, too little text: one line that says what is needed', async () => {
  const hook = ['--hook', 'blocks.0.hook_resid_pre'];
  for (const command of [['analyze', 'motifs'], ['evaluate'], ['benchmark', '--measure', 'mdl']]) {
    const [name, ...more] = command;
    const args = name === 'analyze' ? [...command, 'dictionary'] : [name, 'dictionary', ...more];
    const { code, stdout, stderr } = await monoseme(...args, ...SOURCE, ...hook);
    assert.deepEqual([code, stdout], [1, ''], stderr);
    assert.match(stderr.trimEnd().split('\n').at(-1)!, /^ERR_MISMATCH: .*512.*128/);
  }
  const rows = Array.from({ length: 60 }, (_, i) => JSON.stringify({ text: `the cat ${i}`, label: 'one' }));
  await writeFile(join(folder, 'labels.jsonl'), rows.join('\n'));
  const labelled = await monoseme(
    ...['benchmark', 'dictionary', '--measure', 'sparse-probing', '--labels', 'labels.jsonl', ...SOURCE],
  );
  assert.equal(labelled.code, 1, labelled.stderr);
  assert.match(labelled.stderr.trimEnd().split('\n').at(-1)!, /^ERR_\w+: .*class/);
  const few = ['--text', 'texts/1.txt', '--split', 'all', '--tokens', '1k', '--out', 'few'];
  const proxies = await monoseme('analyze', 'proxies', 'dictionary', ...few);
  assert.equal(proxies.code, 0, proxies.stderr);
  assert.match(
    await readFile(join(folder, 'few/proxies.html'), 'utf8'),
    /No intervals: the text has 1 documents, and 10 are needed/,
  );
});
