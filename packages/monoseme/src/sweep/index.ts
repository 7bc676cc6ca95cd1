export { readSweep, type Sweep, type SweepRun } from './config.ts';
export {
  paretoFront,
  readResult,
  RESULT_FILE,
  type ResultRow,
  writeResult,
  writeRunTable,
} from './results.ts';
export { groupBytes, groupsThatFit, memoryForTraining, trainGroup } from './train-group.ts';
