import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readLabelledText } from './labelled-text.ts';

const folder = mkdtempSync(join(tmpdir(), 'monoseme-labels-'));
after(() => rmSync(folder, { recursive: true }));

function file(name: string, content: string): string {
  const path = join(folder, name);
  writeFileSync(path, content);
  return path;
}

test('JSONL and CSV give the same texts, quotes and line breaks included', () => {
  const jsonl = file(
    'a.jsonl',
    '{"text": "one, \\"two\\"\\nthree", "label": 5, "document": "d"}\n\n{"text": " ", "label": 1}\n{"text": "four", "label": true, "document": "d"}\n',
  );
  const csv = file(
    'a.csv',
    '\ufefftext,label,document\r\n"one, ""two""\nthree",5,d\r\n,1,e\r\nfour,true,d\r\n',
  );
  const expected = [
    { text: 'one, "two"\nthree', labels: ['5'], document: 'd' },
    { text: 'four', labels: ['true'], document: 'd' },
  ];
  assert.deepEqual(readLabelledText(jsonl), expected);
  assert.deepEqual(readLabelledText(csv), expected);
});

test('fields are named, and a text without a document is one of its own', () => {
  const path = file('b.csv', 'review,stars,who\nfine,5,a\n');
  const fields = { textField: 'review', labelFields: ['stars', 'who'] };
  assert.deepEqual(readLabelledText(path, fields), [{ text: 'fine', labels: ['5', 'a'], document: 'fine' }]);
});

test('what cannot be read is said, with the row', () => {
  const broken: [name: string, content: string, message: RegExp][] = [
    ['c.csv', 'text,label\n"open,1\n', /c\.csv is not CSV/],
    ['d.csv', 'text,label\na,1,2\n', /d\.csv is not CSV/],
    ['e.csv', 'text,kind\na,1\n', /e\.csv row 1 has no "label".*text, kind/],
    ['f.jsonl', '{"text": "a", "label": 1}\nnothing\n', /f\.jsonl line 2 is not JSON/],
    ['g.jsonl', '[1]\n', /g\.jsonl line 1 has no "text"/],
    ['h.jsonl', '{"text": "a", "label": {}}\n', /line 1 has no "label"/],
    ['i.jsonl', '3\n', /line 1 is not an object/],
    ['j.tsv', 'text\tlabel\n', /neither \.jsonl nor \.csv/],
  ];
  for (const [name, content, message] of broken)
    assert.throws(() => readLabelledText(file(name, content)), { code: 'ERR_FORMAT', message });
});
