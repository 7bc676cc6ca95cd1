/** Serves an index with a model until it is killed: `node live-server-process.js INDEX PORT`. Prints its address. */
import { serveExplorer } from '../../monoseme/dist/server/index.js';
import { liveParts } from '../../monoseme/dist/testing/live-parts.js';
import { fileURLToPath } from 'node:url';

const [index, port] = process.argv.slice(2);
const page = fileURLToPath(new URL('../dist/page/', import.meta.url));
const { url } = await serveExplorer({ index, page, port: Number(port), live: await liveParts() });
process.stdout.write(`${url}\n`);
