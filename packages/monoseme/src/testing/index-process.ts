/** A process that builds the small index into a folder and is killed at it: its source stands still before a chunk. */
import { buildSmallIndex, smallSource, smallText } from './small-index.ts';

const [out, standstill] = process.argv.slice(2);
const tokenSet = smallText(60, 64);
const source = smallSource(tokenSet, 4);
const timer = setInterval(() => {}, 1000);
await buildSmallIndex(out, {
  tokenSet,
  checkpointSeconds: 0,
  source: {
    ...source,
    readChunk: async (chunk) => {
      if (chunk < Number(standstill)) return source.readChunk(chunk);
      process.stdout.write('standing\n');
      return new Promise<never>(() => {});
    },
  },
});
clearInterval(timer);
