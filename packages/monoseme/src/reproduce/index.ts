export { type Claim, claimsOf } from './claims.ts';
export {
  type AutomataFindings,
  densityFindings,
  evaluationFindings,
  type Findings,
  proxyFindings,
  splittingFindings,
  universalityFindings,
} from './findings.ts';
export { FULL_LADDER, type Ladder, QUICK_LADDER, type Rung, rungsOf } from './ladder.ts';
export { type Reproduction, verdict, writeReproduction } from './report.ts';
export { type StepResult, Steps } from './steps.ts';
