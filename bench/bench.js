/**
 * `npm run bench -- <what> [options]`: measurements that a user can repeat. Each verifies results before it times them.
 */
import { asCommand } from './command.js';

const BENCHES = {
  demo: { about: 'the main job, from text to the index', load: () => import('./demo.js') },
  evaluate: { about: 'a dictionary measured with ablations', load: () => import('./evaluate.js') },
  index: { about: 'the feature index, beside SAEDashboard', load: () => import('./index-bench.js') },
  page: { about: 'the page on a plain static host, in Chromium', load: () => import('./page.js') },
  million: { about: 'the page over an index of a million features', load: () => import('./million.js') },
  harvest: {
    about: 'activations of a model to disk, beside TransformerLens',
    load: () => import('./harvest.js'),
  },
  'language-model': {
    about: 'a real model of 135 million parameters, from weights to dictionary',
    load: async () => ({ 'language-model': (await import('./language-model.js')).languageModel }),
  },
  kernels: { about: "each primitive against the machine's own limits", load: () => import('./kernels.js') },
  density: { about: 'the sparse primitives as more latents fire', load: () => import('./density.js') },
  screening: {
    about: 'encode with and without products of bytes',
    load: () => import('./screening.js'),
  },
  architectures: {
    about: 'a training step of every architecture, as a share of the standard one',
    load: () => import('./architectures.js'),
  },
  step: { about: 'a whole training step, native against reference', load: () => import('./step.js') },
  universality: {
    about: 'two dictionaries compared over one text',
    load: () => import('./universality.js'),
  },
  sizes: { about: 'memory and time of training, for many sizes', load: () => import('./sizes.js') },
  peers: { about: 'training beside PyTorch and other libraries', load: () => import('./peers.js') },
};

const USAGE = `Usage: npm run bench -- <what> [options]

${Object.entries(BENCHES)
  .map(([name, { about }]) => `  ${name.padEnd(14)} ${about}`)
  .join('\n')}

Each takes --help, --json (lines of JSON on stdout) and --quick (a tiny run that checks the benchmark itself).`;

const [what, ...args] = process.argv.slice(2);
const bench = Object.hasOwn(BENCHES, what ?? '') ? BENCHES[what] : undefined;
if (!bench) {
  const asked = what === undefined || what === '--help';
  (asked ? console.log : console.error)(USAGE);
  process.exit(asked ? 0 : 2);
}
const module = await bench.load();
await asCommand(() => module[what](args));
