/** `--text` and what goes with it, as a user meets them. */
import assert from 'node:assert/strict';
import { copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { ended, startMonoseme } from '../testing/command-line.ts';
import { fixture } from '../testing/fixtures.ts';

const TOKENIZER = fileURLToPath(new URL('../../../../models/one-layer-a/tokenizer.json', import.meta.url));

let folder: string;
before(async () => (folder = await mkdtemp(join(tmpdir(), 'monoseme-text-'))));
after(() => rm(folder, { recursive: true }));

async function harvest(input: Uint8Array, ...args: string[]) {
  const all = [
    'harvest',
    'one-layer-a',
    '--split',
    'all',
    '--out',
    'store',
    '--context-size',
    '16',
    '--json',
  ];
  const child = startMonoseme([...all, ...args], { cwd: folder });
  child.stdin.on('error', () => {}).end(input);
  const outcome = await ended(child);
  await rm(join(folder, 'store'), { recursive: true, force: true });
  return outcome;
}

test('the standard input, compressed, with records twice and broken bytes', async () => {
  const line = Buffer.from('{"body": "one two three four five six seven eight nine ten and on and on"}\n');
  const broken = Buffer.from(line.toString('latin1').replace('one', '\xff\xffone'), 'latin1');
  const input = gzipSync(Buffer.concat([line, broken, line]));
  const flags = ['--text', '-', '--text-format', 'jsonl', '--text-column', 'body', '--deduplicate'];
  const { code, stdout, stderr } = await harvest(input, ...flags, '--packing', 'documents');
  assert.equal(code, 0, stderr);
  assert.match(stderr, /2 broken UTF-8 sequences became U\+FFFD, 1 documents left out/);
  assert.equal((JSON.parse(stdout) as { tokens: number }).tokens % 16, 0);
});

test('conversations through a chat template, with the rows of one role', async () => {
  const turns = ['user', 'assistant'].map((role) => ({ role, content: `I am the ${role}. `.repeat(20) }));
  const template = join(folder, 'chat.jinja');
  await writeFile(template, '{% for m in messages %}<{{ m.role }}>{{ m.content }}\n{% endfor %}');
  const flags = ['--text', '-', '--text-format', 'jsonl', '--roles', 'assistant'];
  const input = Buffer.from(JSON.stringify({ messages: turns }));
  const told = await harvest(input, ...flags, '--chat-template', template);
  assert.equal(told.code, 0, told.stderr);
  assert.match(told.stderr, /left out of \d+ tokens: \d+ by their ids or roles/);
  const beside = join(folder, 'tokenizer');
  await mkdir(beside);
  await copyFile(TOKENIZER, join(beside, 'tokenizer.json'));
  await copyFile(template, join(beside, 'chat_template.jinja'));
  const found = await harvest(input, ...flags, '--tokenizer', beside);
  assert.deepEqual([found.code, found.stdout], [0, told.stdout], found.stderr);
  const { code, stderr } = await harvest(input, ...flags);
  assert.equal(code, 1);
  assert.match(stderr, /ERR_CHAT_TEMPLATE.*one-layer-a has neither chat_template\.jinja nor/);
});

test('what cannot be: a token of another tokenizer, a column that is not there, stdin twice', async () => {
  const nothing = new Uint8Array(0);
  const file = fixture('texts/zstd.parquet');
  for (const [flags, message] of [
    [['--text', file, '--text-column', 'body', '--begin-context', '<bos>'], /^ERR_TOKENIZER: .*"<bos>"/m],
    [['--text', file], /^ERR_FORMAT: .*no column "text"/m],
    [['--text', '-', '--text', '-'], /^ERR_OPTION: .*named twice/m],
    [['--text', '-'], /^ERR_EMPTY_TEXT: /m],
  ] as const) {
    const { code, stderr } = await harvest(nothing, ...flags);
    assert.notEqual(code, 0);
    assert.match(stderr, message);
  }
});
