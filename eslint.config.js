import tseslint from 'typescript-eslint';

/**
 * Imports point one way (ARCHITECTURE.md): a folder may import only from the folders listed for it.
 * Tests may use testing/ and whatever they need.
 */
const base = ['errors', 'tensor', 'random'];
const kernelLevel = [...base, 'formats', 'kernels'];
const directions = {
  tensor: ['errors'],
  random: ['errors', 'tensor'],
  plots: [],
  report: [],
  formats: base,
  hub: [...base, 'formats'],
  kernels: [...base],
  dictionary: [...kernelLevel, 'hub'],
  corpus: [...base, 'formats', 'hub'],
  model: [...base, 'formats', 'hub', 'corpus'],
  activations: [...kernelLevel, 'corpus', 'model'],
  interventions: [...kernelLevel, 'dictionary', 'model'],
  training: [...kernelLevel, 'dictionary', 'activations', 'corpus', 'model'],
  evaluation: [...kernelLevel, 'dictionary', 'activations', 'corpus', 'model', 'plots', 'report'],
  export: [...kernelLevel, 'dictionary', 'model'],
  analysis: [...kernelLevel, 'dictionary', 'activations', 'corpus', 'model', 'evaluation', 'plots', 'report'],
  reproduce: [...kernelLevel, 'evaluation', 'analysis', 'plots', 'report'],
  toy: [...kernelLevel, 'dictionary', 'activations', 'model', 'training', 'evaluation'],
  benchmark: [
    ...kernelLevel,
    'dictionary',
    'corpus',
    'model',
    'plots',
    'report',
    'evaluation',
    'toy',
    'analysis',
  ],
  sweep: [...kernelLevel, 'dictionary', 'activations', 'model', 'training', 'features'],
  features: [...kernelLevel, 'dictionary', 'activations', 'corpus', 'model', 'evaluation'],
  collection: [...kernelLevel, 'dictionary', 'features', 'sweep'],
  server: [...kernelLevel, 'interventions', 'dictionary', 'corpus', 'model', 'features', 'collection'],
  cli: null,
};
const folders = Object.keys(directions);

const directionRules = Object.entries(directions)
  .filter(([, allowed]) => allowed !== null)
  .map(([folder, allowed]) => {
    const forbidden = folders.filter((other) => other !== folder && !allowed.includes(other));
    return {
      files: [`packages/monoseme/src/${folder}/**/*.ts`],
      ignores: ['**/*.test.ts'],
      rules: {
        'no-restricted-imports': [
          'error',
          {
            patterns: [
              {
                group: [...forbidden.map((other) => `**/../${other}/**`), '**/testing/**'],
                message: `${folder}/ may import only from: ${allowed.join(', ')} (ARCHITECTURE.md).`,
              },
            ],
          },
        ],
      },
    };
  });

export default tseslint.config(
  {
    ignores: [
      '**/dist/**',
      '**/node_modules/**',
      '**/target/**',
      'out/**',
      'bench/peers/**',
      'bench/results/**',
    ],
  },
  ...tseslint.configs.recommended,
  {
    rules: {
      eqeqeq: 'error',
      'no-console': 'error',
      'prefer-const': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
    },
  },
  {
    files: ['packages/monoseme/src/**/*.ts'],
    ignores: ['**/*.test.ts', 'packages/monoseme/src/random/**'],
    rules: {
      'no-restricted-properties': [
        'error',
        { object: 'Math', property: 'random', message: 'Use the seeded generators of random/.' },
      ],
    },
  },
  { files: ['scripts/**', 'bench/**', 'examples/**'], rules: { 'no-console': 'off' } },
  ...directionRules,
);
