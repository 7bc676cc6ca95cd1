/** What the documents show is run, and what they link to exists. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, relative } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { program } from '../packages/monoseme/dist/cli/main.js';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const documents = ['README.md', 'ARCHITECTURE.md', 'GLOSSARY.md', 'CONTRIBUTING.md', 'CHANGELOG.md'].concat(
  ['docs', 'examples', 'models', 'bench', 'fixtures']
    .filter((folder) => existsSync(join(root, folder)))
    .flatMap((folder) =>
      readdirSync(join(root, folder), { recursive: true, withFileTypes: true })
        .filter(
          (entry) => entry.isFile() && entry.name.endsWith('.md') && !entry.parentPath.includes('peers/'),
        )
        .map((entry) => relative(root, join(entry.parentPath, entry.name))),
    ),
);
const read = (path) => readFileSync(join(root, path), 'utf8');
const flagsIn = (text) => text.match(/(?<![\w-])--[a-z][a-z0-9-]*/g) ?? [];
/** Flags of every command, and of other programs. */
const OTHERS = new Set(['--help', '--version', '--onnxruntime-node-install']);

/** Run a command line as a reader would type it, in an empty folder, with `monoseme` on the path. */
function shell(commands) {
  const folder = mkdtempSync(join(tmpdir(), 'monoseme-docs-'));
  try {
    const path = `${join(root, 'node_modules/.bin')}:${process.env.PATH}`;
    const { status, stderr, stdout } = spawnSync('bash', ['-euc', commands], {
      cwd: folder,
      env: { ...process.env, PATH: path, CHECKOUT: root },
      encoding: 'utf8',
    });
    assert.equal(status, 0, `${commands}\n${stderr}`);
    return stdout;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

for (const document of documents) {
  test(`${document}: every link leads somewhere`, () => {
    for (const [, target] of read(document).matchAll(/\]\(([^)#\s]+)[^)]*\)/g)) {
      if (/^[a-z]+:/.test(target)) continue;
      assert.ok(existsSync(join(root, dirname(document), target)), `${document} links to ${target}`);
    }
  });
}

test('every flag that a document names is one of a command', async () => {
  const { commands } = await program(new AbortController().signal, []);
  const options = [...commands, ...commands.flatMap((command) => command.commands)]
    .flatMap((command) => command.options)
    .map(({ long }) => long);
  const benchmarks = readdirSync(join(root, 'bench')).filter((name) => name.endsWith('.js'));
  const known = new Set([...options, ...benchmarks.flatMap((name) => flagsIn(read(join('bench', name))))]);
  for (const document of documents) {
    const unknown = flagsIn(read(document)).filter((flag) => !known.has(flag) && !OTHERS.has(flag));
    assert.deepEqual(unknown, [], document);
  }
});

describe('README', () => {
  const blocks = [...read('README.md').matchAll(/^```(\w*)\n(.*?)^```/gms)].map(([, kind, text]) => ({
    kind,
    text,
  }));

  test('its first block is the two commands', () => {
    const lines = blocks[0].text.trim().split('\n');
    assert.equal(lines.length, 2);
    const scripts = JSON.parse(read('package.json')).scripts;
    for (const line of lines) {
      const [, script] = /^npm ci && npm (start|test)\b/.exec(line) ?? [];
      assert.ok(script in scripts, line);
    }
  });

  test('the commands for a model of one’s own run as they stand', { timeout: 300_000 }, () => {
    const [block] = blocks.filter(({ kind, text }) => kind === 'sh' && text.includes('npx monoseme train'));
    // The two names a reader puts in: a model and a text.
    const commands = block.text
      .replaceAll('npx monoseme', 'monoseme')
      .replaceAll('my-model', 'one-layer-b')
      .replaceAll('my-text.txt', '"$CHECKOUT"/node_modules/typescript/lib/lib.dom.d.ts')
      // And less of everything: what is tried is that they run.
      .replace(/--tokens \d+k/g, '--tokens 8k')
      .replace('--d-sae 512', '--d-sae 64')
      .replace(/^monoseme explore.*$/m, '');
    shell(commands);
  });
});

describe('examples', () => {
  for (const name of readdirSync(join(root, 'examples')).filter((file) => file.endsWith('.js'))) {
    test(name, { timeout: 300_000 }, () => {
      const { status, stdout, stderr } = spawnSync(process.execPath, [join(root, 'examples', name)], {
        cwd: root,
        encoding: 'utf8',
      });
      assert.equal(status, 0, stderr);
      assert.ok(stdout.trim().length > 0);
      assert.ok(read('examples/README.md').includes(`examples/${name}`), `${name} is in examples/README.md`);
    });
  }
});
