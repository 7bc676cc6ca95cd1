// Write the default corpus as JSONL, exactly as the toolkit's corpus stage makes it: node write-corpus.js corpus.jsonl
import { fileURLToPath } from 'node:url';
import { defaultMixture, writeJsonl } from '../../packages/monoseme/dist/corpus/index.js';

const file = process.argv[2];
if (file === undefined) throw new Error('Name the file to write: node write-corpus.js corpus.jsonl');
writeJsonl(defaultMixture({ root: fileURLToPath(new URL('../..', import.meta.url)) }), file);
