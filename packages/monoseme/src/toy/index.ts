export {
  autoencoders,
  classicalMethods,
  codesOnTrueDirections,
  type ComparisonInput,
  type MethodResult,
} from './compare.ts';
export { type Coder, dictionaryCoder, measureOnToy, type ToyFigures } from './measure.ts';
export { largestMatching } from './matching.ts';
export { type Recovery, recovery } from './recovery.ts';
export { synthSaeBench, TOY_SETS, toySet } from './sets.ts';
export { type ToyModel, type ToyOptions, ToySource } from './toy-source.ts';
export { type ToyOutcome, type ToyRuns, trainOnToy } from './train-on-toy.ts';
