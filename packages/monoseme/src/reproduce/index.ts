export type { Claim } from './claim.ts';
export { claimsOf } from './claims.ts';
export {
  type AutomataFindings,
  circleFindings,
  controlFindings,
  densityFindings,
  effectFindings,
  evaluationFindings,
  type Findings,
  motifFindings,
  neuronFindings,
  persistenceFindings,
  proxyFindings,
  splittingFindings,
  universalityFindings,
} from './findings.ts';
export { FULL_LADDER, type Ladder, QUICK_LADDER, type Rung, rungsOf } from './ladder.ts';
export { type Reproduction, verdict, writeReproduction } from './report.ts';
export { type StepResult, Steps } from './steps.ts';
