import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../bin/monoseme.js', import.meta.url));
const TRANSCODER = fileURLToPath(
  new URL('../../../../fixtures/dictionaries/sparsify-transcoder', import.meta.url),
);
const folder = mkdtempSync(join(tmpdir(), 'monoseme-refusals-'));
after(() => rmSync(folder, { recursive: true }));

/** A folder of a run that was interrupted, and one of a dictionary of another tool. */
const interrupted = join(folder, 'interrupted');
mkdirSync(join(interrupted, 'training'), { recursive: true });
writeFileSync(join(interrupted, 'training', 'checkpoint.safetensors'), '');
const foreign = join(folder, 'foreign');
mkdirSync(foreign);
writeFileSync(join(foreign, 'sae_weights.safetensors'), '');
const transcoder = join(folder, 'transcoder');
cpSync(TRANSCODER, transcoder, { recursive: true });

// There is no such model and no such store: what is refused before that is said is refused before anything is read.
const MODEL = ['--model', 'absent'];
const train = (...flags: string[]) => ['train', '--out', join(folder, 'new'), ...flags];

describe('refused before a model, a store or a text is opened', () => {
  for (const [name, args, message] of [
    [
      'a dictionary of one hook point at two',
      train(...MODEL, '--hook', 'a', '--hook', 'b'),
      /^ERR_MISMATCH: --architecture is standard, which reads one hook point, but the activations are of 2\. Give one/m,
    ],
    [
      'one of two stores',
      train('--store', 'absent', '--target-store', 'absent', '--architecture', 'topk'),
      /^ERR_MISMATCH: --architecture is topk, .* of 2\. Give one --hook or --store/m,
    ],
    [
      'a transcoder without a target',
      train(...MODEL, '--architecture', 'transcoder'),
      /^ERR_MISMATCH: --architecture is transcoder, .* of 1\. Give --hook and --target-hook, or --store and/m,
    ],
    [
      'a crosscoder of one model',
      train(...MODEL, '--architecture', 'crosscoder'),
      /^ERR_MISMATCH: --architecture is crosscoder, which reads several hook points, .* of 1\./m,
    ],
    [
      'a run that was interrupted, without --resume',
      ['train', '--out', interrupted, ...MODEL],
      /^ERR_EXISTS: .* holds the checkpoint of a run that was interrupted/m,
    ],
    [
      'the folder of a dictionary of another tool',
      ['train', '--out', foreign, ...MODEL],
      /^ERR_EXISTS: .* was not trained here/m,
    ],
    ['no token of each context', train(...MODEL, '--tokens-per-context', '0'), /whole number of at least 1/],
    ['contexts without tokens', train(...MODEL, '--context-size', '0'), /whole number of at least 1/],
    ['a token id that is none', train(...MODEL, '--drop-token', 'the'), /'--drop-token <id>' argument 'the'/],
    [
      'tokens left out of a store',
      train('--store', 'absent', '--drop-special'),
      /^ERR_USAGE: --store and --drop-special were both given/m,
    ],
    [
      'a text beside a store, to measure on',
      ['evaluate', 'absent', '--store', 'absent', '--text-column', 'story'],
      /^ERR_USAGE: --store and --text-column story were both given/m,
    ],
    [
      'an input of a model beside a store',
      train('--store', 'absent', '--input', 'mask=1'),
      /^ERR_USAGE: --store and --input mask=1 were both given/m,
    ],
    [
      'how much a model reads at once beside a store',
      train('--store', 'absent', '--model-batch', 'auto'),
      /^ERR_USAGE: --store and --model-batch auto were both given/m,
    ],
    [
      'a model beside a store, to measure on',
      ['evaluate', 'absent', '--store', 'absent', ...MODEL],
      /^ERR_USAGE: --store and --model absent were both given/m,
    ],
    [
      'how much a model reads at once beside a store, to index without a model',
      ['index', 'absent', '--out', join(folder, 'new'), '--store', 'absent', '--model-batch', '64'],
      /^ERR_USAGE: --store and --model-batch 64 were both given/m,
    ],
    [
      'a text to convert',
      ['convert', 'absent', join(folder, 'new'), '--text', 'a.txt'],
      /^ERR_USAGE: --text a\.txt was given without --check/m,
    ],
    [
      'a model to convert',
      ['convert', 'absent', join(folder, 'new'), ...MODEL],
      /^ERR_USAGE: --model absent was given without --check/m,
    ],
    [
      'a format that has no place for the dictionary, before it is checked',
      ['convert', transcoder, join(folder, 'new'), '--format', 'gemma-scope', '--check', ...MODEL],
      /^ERR_OPTION: The dictionary is a transcoder, which Gemma Scope cannot say/m,
    ],
    [
      'a text beside a store, to index',
      ['index', 'absent', '--out', join(folder, 'new'), '--store', 'absent', '--skip', '3'],
      /^ERR_USAGE: --store and --skip 3 were both given/m,
    ],
    [
      'a transcoder to evaluate',
      ['evaluate', transcoder, ...MODEL, '--hook', 'a'],
      /^ERR_OPTION: The dictionary is a transcoder: it does not reconstruct/m,
    ],
  ] as const)
    test(name, () => {
      const { status, stderr } = spawnSync(process.execPath, [MAIN, ...args], { encoding: 'utf8' });
      assert.notEqual(status, 0);
      assert.match(stderr, message);
    });
});
