/**
 * What `npm run quality` trains: four sets, and on each every architecture with the settings under which the published
 * figures were taken. What is not said here is the architecture's own default.
 */
import { ARCHITECTURES } from 'monoseme/dictionary';
import { synthSaeBench, toySet } from 'monoseme/toy';

/**
 * Every architecture that reads one hook point, with what is said of it and else its defaults; and those whose penalty is
 * steered to as many active latents as are true, from one default setting.
 */
const casesWith = (settings, steered = {}) => ({
  ...Object.fromEntries(ARCHITECTURES.filter(({ rows }) => !rows).map(({ name }) => [name, {}])),
  ...settings,
  'standard, steered': { architecture: 'standard', isSteered: true, resampleAt: [], ...steered },
  'gated, steered': { architecture: 'gated', isSteered: true, ...steered },
  'jumprelu, steered': { architecture: 'jumprelu', isSteered: true, ...steered },
});

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
  cases: casesWith({
    standard: { l1Coefficient: 0.1, l1WarmUp: 0, encoderInit: 'kaiming', resampleAt: [] },
    'april-2024': { l1Coefficient: 0.1 },
    topk: { steps: 4000 },
    'multi-topk': { steps: 4000 },
    batchtopk: { steps: 3000 },
    gated: { l1Coefficient: 0.6 },
    'p-annealing': { l1Coefficient: 0.2, resampleAt: [] },
  }),
};

/** The planted set at half its sizes, on which a run takes seconds: it gates CI. */
const small = {
  title: '32 inputs, 64 features, 2 active',
  model: { ...planted.model, dIn: 32, nFeatures: 64, frequencies: { kind: 'equal', meanActive: 2 } },
  steps: 1000,
  batchRows: 512,
  evaluationRows: 16_384,
  widths: [128],
  training: {
    ...planted.training,
    learningRate: 3e-3,
    learningRateDecay: 0.2,
  },
  k: 2,
  cases: casesWith(
    {
      standard: { ...planted.cases.standard, steps: 2000 },
      'april-2024': { l1Coefficient: 0.1 },
      topk: { steps: 800 },
      'january-2025': { steps: 1200 },
      matryoshka: { steps: 1500, prefixes: [0.5, 1] },
      jumprelu: { steps: 3000 },
      gated: { steps: 2000, l1Coefficient: 0.6 },
      'p-annealing': { steps: 2500, l1Coefficient: 0.2, resampleAt: [] },
    },
    { steps: 3000 },
  ),
};

/** A published coefficient of a penalty is for inputs that nothing scales. */
const AS_THEY_ARE = { normalize: 'none' };

/** Every twentieth of a run, until the learning rate falls. */
const OFTEN = Array.from({ length: 16 }, (_, i) => (i + 1) / 20);

const crowded = {
  title: '64 inputs, 256 features, 8 active',
  model: toySet('crowded'),
  steps: 10_000,
  evaluationRows: 65_536,
  widths: [256, 512],
  training: { learningRate: 1e-3, beta2: 0.999, learningRateWarmUp: 0, learningRateDecay: 0.2 },
  k: 8,
  cases: casesWith({
    standard: { l1Coefficient: 0.4, resampleAt: [], ...AS_THEY_ARE },
    'april-2024': { l1Coefficient: 0.4, ...AS_THEY_ARE },
    // Where as many latents as features are asked for, one that is left over is a feature missed.
    'topk, faint': { architecture: 'topk', faintBelow: 0.4 },
    matryoshka: { prefixes: [1 / 8, 1 / 4, 1 / 2, 1] },
    gated: { l1Coefficient: 1, ...AS_THEY_ARE },
    'gated, split': {
      architecture: 'gated',
      widths: [256],
      l1Coefficient: 1.2,
      splitAt: OFTEN,
      ...AS_THEY_ARE,
    },
    'p-annealing': { l1Coefficient: 0.4, resampleAt: [], ...AS_THEY_ARE },
  }),
};

const BENCHMARK_SAMPLES = 200_000_000;

/**
 * @param scale of all sizes; 1 is SynthSAEBench-16k itself
 * @param samples share of the benchmark's samples
 */
function synth(scale, samples) {
  return {
    title: `SynthSAEBench-16k, sizes times ${scale}, samples times ${samples}`,
    model: synthSaeBench(scale),
    steps: Math.round((BENCHMARK_SAMPLES * samples) / 1024),
    evaluationRows: 32_768,
    widths: [Math.round(4096 * scale)],
    training: { learningRate: 3e-4, beta2: 0.999 },
    // L0 25 where 34 features are active.
    kOfTrueL0: 25 / 34,
    cases: casesWith({
      // From four times as many latents, which find features that k alone leave to others.
      topk: { kWarmUp: 0.8, initialKOfK: 4 },
      // The k · B largest of the batch are kept from the start there, and all prefixes count the same.
      batchtopk: { byRow: 0 },
      matryoshka: { prefixes: [1 / 32, 1 / 8, 1 / 2, 1], prefixPower: 0 },
    }),
  };
}

export const qualitySets = (scale, samples) => ({
  small,
  planted,
  crowded,
  'synth-sae-bench': synth(scale, samples),
});
