/**
 * What `npm run quality` trains: three sets, and on each every architecture with the settings under which the published
 * figures were taken. What is not said here is the architecture's own default.
 */
import { synthSaeBench, toySet } from 'monoseme/toy';

/** The penalty is steered to as many active latents as are true, from one default setting. */
const STEERED = {
  'standard, steered': { architecture: 'standard', isSteered: true, resampleAt: [] },
  'gated, steered': { architecture: 'gated', isSteered: true },
  'jumprelu, steered': { architecture: 'jumprelu', isSteered: true },
};

/** Published rows fix Adam at 1e-3 without warm-up or decay, and inputs as they are. */
const planted = {
  title: '64 inputs, 128 features, 3 active',
  model: toySet('planted'),
  steps: 6000,
  evaluationRows: 32_768,
  widths: [256],
  training: {
    learningRate: 1e-3,
    beta2: 0.999,
    learningRateWarmUp: 0,
    learningRateDecay: 0,
    normalize: 'none',
  },
  k: 3,
  cases: {
    standard: { l1Coefficient: 0.1, l1WarmUp: 0, encoderInit: 'kaiming', resampleAt: [] },
    'april-2024': { l1Coefficient: 0.1 },
    topk: { steps: 4000 },
    'multi-topk': { steps: 4000 },
    batchtopk: { steps: 3000 },
    matryoshka: {},
    'matryoshka-random': {},
    jumprelu: {},
    'january-2025': {},
    gated: { l1Coefficient: 0.6 },
    'p-annealing': { l1Coefficient: 0.2, resampleAt: [] },
    ...STEERED,
  },
};

/** A published coefficient of a penalty is for inputs that nothing scales. */
const AS_THEY_ARE = { normalize: 'none' };

const crowded = {
  title: '64 inputs, 256 features, 8 active',
  model: toySet('crowded'),
  steps: 10_000,
  evaluationRows: 65_536,
  widths: [256, 512],
  training: { learningRate: 1e-3, beta2: 0.999, learningRateWarmUp: 0, learningRateDecay: 0.2 },
  k: 8,
  cases: {
    standard: { l1Coefficient: 0.4, resampleAt: [], ...AS_THEY_ARE },
    'april-2024': { l1Coefficient: 0.4, ...AS_THEY_ARE },
    topk: {},
    'multi-topk': {},
    batchtopk: {},
    matryoshka: { prefixes: [1 / 8, 1 / 4, 1 / 2, 1] },
    'matryoshka-random': {},
    jumprelu: {},
    'january-2025': {},
    gated: { l1Coefficient: 0.6, ...AS_THEY_ARE },
    'p-annealing': { l1Coefficient: 0.4, resampleAt: [], ...AS_THEY_ARE },
    ...STEERED,
  },
};

/** @param scale of all sizes; 1 is SynthSAEBench-16k itself */
function synth(scale) {
  return {
    title: `SynthSAEBench-16k, sizes times ${scale}`,
    model: synthSaeBench(scale),
    steps: Math.round((200_000_000 * scale * scale) / 1024),
    evaluationRows: 32_768,
    widths: [Math.round(4096 * scale)],
    training: { learningRate: 3e-4, beta2: 0.999 },
    // L0 25 where 34 features are active.
    kOfTrueL0: 25 / 34,
    cases: {
      standard: {},
      'april-2024': {},
      topk: {},
      'multi-topk': {},
      batchtopk: {},
      matryoshka: { prefixes: [1 / 32, 1 / 8, 1 / 2, 1] },
      'matryoshka-random': {},
      jumprelu: {},
      'january-2025': {},
      gated: {},
      'p-annealing': {},
      ...STEERED,
    },
  };
}

export const qualitySets = (scale) => ({ planted, crowded, 'synth-sae-bench': synth(scale) });

/** What the figures are to reach; a mean over the seeds. */
export const TARGETS = [
  ...['planted', 'crowded', 'synth-sae-bench'].flatMap((set) =>
    Object.keys(STEERED).map((architecture) => ({
      set,
      architecture,
      metric: 'l0_of_target',
      least: 0.95,
      most: 1.05,
    })),
  ),
  ...['standard', 'gated', 'topk', 'batchtopk', 'jumprelu', 'matryoshka'].map((architecture) => ({
    set: 'planted',
    architecture,
    dSae: 256,
    metric: 'mmcs',
    least: 0.99,
  })),
  { set: 'crowded', architecture: 'topk', dSae: 256, metric: 'explained_variance', least: 0.8 },
  { set: 'crowded', architecture: 'topk', dSae: 256, metric: 'mcc', least: 0.985 },
  { set: 'crowded', architecture: 'batchtopk', dSae: 256, metric: 'mcc', least: 0.98 },
  { set: 'crowded', architecture: 'batchtopk', dSae: 256, metric: 'l0', least: 7.84, most: 8.16 },
  { set: 'crowded', architecture: 'jumprelu', dSae: 256, metric: 'mcc', least: 0.95 },
  { set: 'crowded', architecture: 'matryoshka', dSae: 256, metric: 'mcc', least: 0.9 },
  { set: 'crowded', architecture: 'gated', dSae: 256, metric: 'mcc', least: 0.99 },
  { set: 'crowded', architecture: 'topk', dSae: 512, metric: 'frac_dead', most: 0.02 },
  { set: 'crowded', architecture: 'batchtopk', dSae: 512, metric: 'frac_dead', most: 0.02 },
  { set: 'synth-sae-bench', architecture: 'matryoshka', metric: 'f1', isFirst: true },
  { set: 'synth-sae-bench', architecture: 'matryoshka', metric: 'mcc', isFirst: true },
];
