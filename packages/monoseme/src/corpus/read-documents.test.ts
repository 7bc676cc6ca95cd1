import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { collect } from '../testing/collect.ts';
import { fixture } from '../testing/fixtures.ts';
import { type Document, toDocuments } from './document.ts';
import { readFiles } from './files.ts';
import { readDocuments, type ReadOptions } from './read-documents.ts';
import { decodeText } from './text-stream.ts';

const folder = mkdtempSync(join(tmpdir(), 'documents-'));
after(() => rmSync(folder, { recursive: true }));
const write = (name: string, content: string | Uint8Array): string => {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
};
const read = (path: string, options?: ReadOptions & { format?: 'jsonl' }): Promise<Document[]> =>
  collect(readFiles(path, options));

/** What fixtures/make-texts.py wrote. */
const DOCUMENTS = Array.from({ length: 500 }, (_, i) => {
  return { id: `doc-${i}`, text: `Document ${i} says ${'naïve 𝒳 text. '.repeat((i % 97) + 1)}` };
});
const idsAndTexts = (documents: Document[]) => documents.map(({ id, text }) => ({ id, text }));

for (const codec of ['snappy', 'gzip', 'zstd', 'brotli'])
  test(`Parquet, ${codec}: a document a row of the column named`, async () => {
    const documents = await read(fixture(`texts/${codec}.parquet`), { textField: 'body' });
    assert.deepEqual(idsAndTexts(documents), DOCUMENTS);
    assert.equal(documents[0].source, `${codec}.parquet`);
  });

test('zstd of several frames and blocks', async () => {
  const documents = await read(fixture('texts/documents.jsonl.zst'), { textField: 'body' });
  assert.deepEqual(idsAndTexts(documents), DOCUMENTS);
});

test('gzip of several members, known by its bytes and not by its name', async () => {
  const lines = DOCUMENTS.map(({ id, text }) => `${JSON.stringify({ id, text })}\n`);
  const members = [lines.slice(0, 200), lines.slice(200)].map((part) => gzipSync(part.join('')));
  const path = write('documents.jsonl', Buffer.concat(members));
  assert.deepEqual(idsAndTexts(await read(path)), DOCUMENTS);
});

test('CSV and TSV: quoted commas, quotes, line ends; a row number where there is no id', async () => {
  const csv = write('t.csv', 'stars,text\r\n5,"a ""b"", c\nd"\r\n4,plain\r\n');
  assert.deepEqual(await read(csv), [
    { id: 't.csv:1', source: 't.csv', text: 'a "b", c\nd' },
    { id: 't.csv:2', source: 't.csv', text: 'plain' },
  ]);
  const tsv = write('t.tsv', 'id\tsource\tbody\nx\tmine\tone, two\n');
  assert.deepEqual(await read(tsv, { textField: 'body' }), [{ id: 'x', source: 'mine', text: 'one, two' }]);
  const loose = write('loose.tsv', 'text\nthe "cat" sat\n"A cat" sat\n"a ""cat"""\n');
  const texts = (await read(loose)).map(({ text }) => text);
  assert.deepEqual(texts, ['the "cat" sat', '"A cat" sat', 'a "cat"']);
  const twice = write('twice.csv', 'id,text,text\nx,one,two\n');
  await assert.rejects(read(twice), { code: 'ERR_FORMAT', message: /twice\.csv has two columns "text"/ });
  const broken = write('broken.csv', 'text\n"never closed\n');
  await assert.rejects(read(broken), { code: 'ERR_FORMAT', message: /broken\.csv/ });
});

test('a missing column is named, and those that are there', async () => {
  const advice = /no column "text".*"body".*--text-column/;
  await assert.rejects(read(fixture('texts/snappy.parquet')), { code: 'ERR_FORMAT', message: advice });
  await assert.rejects(read(write('c.csv', 'id,body\n1,x\n')), { code: 'ERR_FORMAT', message: advice });
  await assert.rejects(read(fixture('texts/snappy.parquet'), { textField: 'stars' }), {
    code: 'ERR_FORMAT',
    message: /row 1 has no text under "stars"/,
  });
});

test('broken, cut off or greedy files are typed errors', async () => {
  const gzip = gzipSync('text '.repeat(1000));
  const zstd = readFileSync(fixture('texts/documents.jsonl.zst'));
  const parquet = readFileSync(fixture('texts/snappy.parquet'));
  const cases: [string, Uint8Array, string][] = [
    ['cut.gz', gzip.subarray(0, 30), 'ERR_FORMAT'],
    ['flipped.gz', gzip.map((byte, i) => (i === 20 ? byte ^ 255 : byte)), 'ERR_FORMAT'],
    ['cut.txt.zst', zstd.subarray(0, zstd.length - 200), 'ERR_FORMAT'],
    ['cut.parquet', parquet.subarray(0, 9000), 'ERR_FORMAT'],
    ['flipped.parquet', parquet.map((byte, i) => (i > 500 && i < 700 ? byte ^ 255 : byte)), 'ERR_FORMAT'],
  ];
  for (const [name, bytes, code] of cases)
    await assert.rejects(read(write(name, bytes), { textField: 'body' }), { code }, name);
  await assert.rejects(read(fixture('texts/wide-window.zst')), { code: 'ERR_LIMIT', message: /window/ });
});

test('text in pieces of any length is the text, and broken sequences are counted', async () => {
  const unit = fc.oneof(
    fc.constantFrom('a', 'é', '€', '𝒳', '\ufffd', '\ufeff').map((text) => [...Buffer.from(text)]),
    fc.integer({ min: 0x80, max: 0xff }).map((byte) => [byte]),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.array(unit, { maxLength: 40 }),
      fc.integer({ min: 1, max: 7 }),
      async (units, length) => {
        const bytes = Uint8Array.from(units.flat());
        const pieces = Array.from({ length: Math.ceil(bytes.length / length) }, (_, i) =>
          bytes.slice(i * length, (i + 1) * length),
        );
        const counts = { brokenSequences: 0, duplicates: 0 };
        const text = (await collect(decodeText(pieces, 'bytes', counts))).join('');
        const whole = new TextDecoder().decode(bytes);
        assert.equal(text, whole);
        // U+FFFD is written as these three bytes; each other one stands for a broken sequence.
        const written = units.filter((u) => u.length === 3 && u[0] === 0xef && u[1] === 0xbf).length;
        const inBytes = whole.split('\ufffd').length - 1;
        assert.ok(counts.brokenSequences <= inBytes && counts.brokenSequences >= inBytes - written);
      },
    ),
  );
});

test('one broken byte is one replacement', async () => {
  const counts = { brokenSequences: 0, duplicates: 0 };
  const path = write('broken.txt', Buffer.from([0x61, 0xff, 0x62, 0xef, 0xbf, 0xbd, 0xe2, 0x82]));
  const [{ text }] = await read(path, { counts });
  assert.equal(text, 'a\ufffdb\ufffd\ufffd');
  assert.equal(counts.brokenSequences, 2);
});

test('a long text is cut as when it is whole', async () => {
  const text = Array.from({ length: 60_000 }, (_, i) => `word${i % 977}${i % 31 === 0 ? '.\n\n' : ' '}`).join(
    '',
  );
  const path = write('long.txt', text);
  const documents = await collect(readDocuments(path, 'long.txt', 'text'));
  assert.deepEqual(documents, toDocuments('txt', 'long.txt', text));
});

test('a line too long to hold is refused without holding it', async () => {
  const path = write('one-line.jsonl.gz', gzipSync(Buffer.alloc(2 ** 26 + 2 ** 20, 0x61)));
  await assert.rejects(read(path), { code: 'ERR_LIMIT', message: /line 1/ });
});
