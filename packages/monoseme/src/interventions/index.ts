export { addDirection, replace, resample, type Where, zero } from './edits.ts';
export { type Generated, generate, type GenerateInput, scoreTokens } from './generate.ts';
export {
  editLatents,
  editLatentsOf,
  type LatentEdit,
  type LatentEditOptions,
  reconstruct,
} from './latent-edits.ts';
export { type Continuation, type Steered, steer, type SteerInput, type SteerVersion } from './steer.ts';
