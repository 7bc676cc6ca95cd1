export { Random, hashSeed } from './random.ts';
