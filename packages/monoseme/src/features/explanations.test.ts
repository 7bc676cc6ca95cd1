import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import { buildSmallIndex } from '../testing/small-index.ts';
import {
  addExplanations,
  exportJsonl,
  importDashboards,
  openFeatureIndex,
  sourceNames,
  writeNeuronpedia,
  writeSaedashboard,
} from './index.ts';

let folder: string;
let index: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'monoseme-explanations-'));
  index = join(folder, 'index');
  await buildSmallIndex(index);
});
after(() => rm(folder, { recursive: true, force: true }));

async function file(name: string, content: string | Buffer): Promise<string> {
  await writeFile(join(folder, name), content);
  return join(folder, name);
}
const lines = (...rows: object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join('');

test('explanations of several forms are added, sorted by latent, and the index stays whole', async () => {
  const own = await file(
    'own.jsonl',
    lines(
      { latent_index: 5, text: 'whole letters', score: 0.71, score_name: 'detection' },
      { latent_index: 0, text: ' the word cat ' },
    ),
  );
  const theirs = await file(
    'batch-0.jsonl.gz',
    gzipSync(lines({ index: '0', description: 'cats', typeName: 'np_max-act', explanationModelName: 'm' })),
  );
  const list = await file(
    'list.json',
    JSON.stringify([
      {
        latent: 2,
        explanation: 'after whales',
        scores: [{ value: 0.5, explanationScoreTypeName: 'recall' }],
      },
    ]),
  );
  assert.deepEqual(await addExplanations(index, [own, theirs, list]), { added: 4, total: 4, features: 3 });
  const opened = await openFeatureIndex(index);
  await opened.verify();
  const rows = await opened.explanations();
  assert.deepEqual(
    rows.map(({ latent_index, text, method, model, score_name }) => [
      latent_index,
      text,
      method,
      model,
      score_name,
    ]),
    [
      [0, 'the word cat', '', '', ''],
      [0, 'cats', 'np_max-act', 'm', ''],
      [2, 'after whales', '', '', 'recall'],
      [5, 'whole letters', '', '', 'detection'],
    ],
  );
  assert.deepEqual(
    rows.map(({ score }) => score),
    [NaN, NaN, 0.5, 0.71],
  );
  // Added again nothing changes, and a new score of the same text counts.
  assert.equal((await addExplanations(index, [own])).added, 0);
  await addExplanations(index, [
    await file('better.jsonl', lines({ latent: 0, text: 'the word cat', score: 1 })),
  ]);
  const again = await openFeatureIndex(index);
  await again.verify();
  assert.equal((await again.explanations())[0].score, 1);
  assert.equal((await readdir(index)).filter((name) => name.startsWith('explanations-')).length, 1);
});

test('exports carry explanations, and what is made of them again has them', async () => {
  const opened = await openFeatureIndex(index);
  const names = sourceNames(opened.details);
  const [np, sd] = [join(folder, 'told-np'), join(folder, 'told-sd')];
  await writeNeuronpedia(opened, np, names);
  await writeSaedashboard(opened, sd, names);
  const alive = new Set(
    (await opened.features()).filter(({ n_fired }) => n_fired > 0).map(({ latent_index }) => latent_index),
  );
  const written = (await opened.explanations()).filter(({ latent_index }) => alive.has(latent_index));
  assert.ok(written.length > 0);
  for (const [name, from] of [
    ['np', join(np, 'v1', names.modelId, names.sourceId)],
    ['sd', sd],
  ]) {
    await importDashboards(from, join(folder, `again-${name}`));
    assert.deepEqual(await (await openFeatureIndex(join(folder, `again-${name}`))).explanations(), written);
  }
  await exportJsonl(opened, join(folder, 'told.jsonl'));
  const line = (await readFile(join(folder, 'told.jsonl'), 'utf8'))
    .split('\n')
    .map((text) => JSON.parse(text || '{}'))
    .find(({ latent_index }) => latent_index === written[0].latent_index);
  assert.equal(line.explanations[0].text, written[0].text);
});

test('explanations of a bulk export of Neuronpedia come with its features', async () => {
  const opened = await openFeatureIndex(index);
  const names = sourceNames(opened.details);
  const out = join(folder, 'bulk');
  await writeNeuronpedia(opened, out, names);
  const source = join(out, 'v1', names.modelId, names.sourceId);
  await mkdir(join(source, 'explanations'), { recursive: true });
  await writeFile(
    join(source, 'explanations/batch-0.jsonl.gz'),
    gzipSync(lines({ index: '1', description: 'dogs', typeName: 'np_acts-logits-general' })),
  );
  await importDashboards(source, join(folder, 'imported'));
  const [row] = await (await openFeatureIndex(join(folder, 'imported'))).explanations();
  assert.deepEqual([row.latent_index, row.text, row.method], [1, 'dogs', 'np_acts-logits-general']);
});

test('what is none is refused by its place, and the index is not touched', async () => {
  const before = (await openFeatureIndex(index)).details.explanations;
  const cases: [string, string, string][] = [
    ['broken.jsonl', '{"latent": 1,', 'ERR_FORMAT'],
    ['far.jsonl', lines({ latent: 24, text: 'x' }), 'ERR_FORMAT'],
    ['empty.jsonl', lines({ latent: 1, text: ' ' }), 'ERR_FORMAT'],
    ['long.jsonl', lines({ latent: 1, text: 'x'.repeat(5000) }), 'ERR_FORMAT'],
    ['number.json', '7', 'ERR_FORMAT'],
    ['row.jsonl', '[]\n', 'ERR_FORMAT'],
    ['cut.jsonl.gz', 'no gzip', 'ERR_FILE'],
  ];
  for (const [name, content, code] of cases)
    await assert.rejects(addExplanations(index, [await file(name, content)]), { code }, name);
  await assert.rejects(addExplanations(index, [join(folder, 'nowhere.jsonl')]), { code: 'ERR_NOT_FOUND' });
  assert.deepEqual((await openFeatureIndex(index)).details.explanations, before);
});
