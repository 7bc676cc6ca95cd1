/** `npm run bench -- page`: how fast the page reads features from a plain static host, in a real Chromium. */
import { createServer } from 'node:http';
import { existsSync, readFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { openFeatureIndex } from 'monoseme/features';
import { exportSite } from 'monoseme/server';
import { benchOptions, monoseme, trained, withBrowser } from './command.js';
import { environmentText, jsonLine, summarize, table } from './measure.js';

const HELP = `Usage: npm run bench -- page [options]

How long the page takes on a plain static host (ranges, gzip, no cache), in a browser that starts anew for every case:
first paint, a feature opened by its address, a feature far from all that was read, the next feature by its key; and how
much compressed script the reading view fetches. A time ends when the frame is painted in which the feature's number and
its strongest examples stand. Every feature shown is compared with the index.

  --index <folder>    a real index (default: 1,024 features are trained and indexed first)
  --rounds <n>        (default: 5)
  --quick             a tiny run that checks the benchmark itself
  --json              lines of JSON on stdout, everything else on stderr`;

/** @param {string[]} args command-line options */
export async function page(args) {
  const options = {
    index: { type: 'string' },
    rounds: { type: 'string', default: '5' },
  };
  const asked = benchOptions(args, HELP, options);
  if (!asked) return;
  const { flags, log } = asked;
  log(`${environmentText()}\n`);
  await withBrowser('page', async (browser, temporary) => {
    const folder = flags.index ?? smallIndex(temporary, flags.quick);
    await exportSite(folder, join(temporary, 'site'));
    const host = await staticHost(join(temporary, 'site'));
    const index = await openFeatureIndex(folder);
    const latents = await farApart(index);
    const rounds = [];
    for (let round = 0; round < (flags.quick ? 1 : Number(flags.rounds)); round++)
      rounds.push(await measured(browser, host.url, index, latents));
    host.close();
    report(rounds, flags, log);
  });
}

function smallIndex(temporary, quick) {
  const dictionary = trained(join(temporary, 'dictionary'), quick, quick ? 256 : 1024);
  const folder = join(temporary, 'index');
  monoseme([
    'index',
    dictionary,
    '--out',
    folder,
    '--tokens',
    quick ? '40960' : '500000',
    '--ablations',
    '0',
  ]);
  return folder;
}

/** Three features that fire, in different parts of the index; the first has a next one that fires too. */
async function farApart(index) {
  const nFired = await index.figures('n_fired');
  const from = (share) => {
    let latent = Math.floor(share * (index.dSae - 2));
    while (nFired[latent] === 0 || nFired[latent + 1] === 0) latent = (latent + 1) % (index.dSae - 1);
    return latent;
  };
  return [from(0.2), from(0.5), from(0.8)];
}

/** Milliseconds of every case, and bytes of script. */
async function measured(browser, url, index, [first, far, further]) {
  const opened = await freshTab(browser, url, `#/feature/${first}`);
  const { tab } = opened;
  const found = { 'open a feature by its address, cold': await readyTime(tab, index, first) };
  found['first paint'] = await tab.evaluate(() => {
    const paints = performance.getEntriesByType('paint');
    return paints.find(({ name }) => name === 'first-contentful-paint').startTime;
  });
  found['compressed script'] = opened.scripts().reduce((sum, bytes) => sum + bytes, 0);
  found['feature to feature, cold'] = await step(tab, index, further, { hash: `#/feature/${further}` });
  // The features beside the one that is read are fetched while it is.
  await step(tab, index, far, { hash: `#/feature/${far}` });
  await tab.waitForTimeout(1500);
  found['feature to feature, warm'] = await step(tab, index, far + 1, { key: 'j' });
  await opened.close();
  return found;
}

async function freshTab(browser, url, hash) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  await context.addInitScript(() => {
    const painted = new MessageChannel();
    painted.port1.onmessage = () => (globalThis.examplesPainted = performance.now());
    const look = () => {
      if (document.querySelector('.feature:not(.ahead) .example .t.peak')) painted.port2.postMessage('');
      else requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  });
  const tab = await context.newPage();
  const scripts = [];
  tab.on('response', (response) => {
    if (/\.js$/.test(new URL(response.url()).pathname))
      scripts.push(response.body().then((body) => gzipSync(body).length));
  });
  await tab.goto(url + hash, { waitUntil: 'commit' });
  await tab.locator('.example').first().waitFor();
  const sizes = await Promise.all(scripts);
  return { tab, scripts: () => sizes, close: () => context.close() };
}

/** Milliseconds from the start of the navigation until the examples are painted. */
async function readyTime(tab, index, latent) {
  await tab.waitForFunction(() => globalThis.examplesPainted !== undefined);
  const time = await tab.evaluate(() => globalThis.examplesPainted);
  await expectFeature(tab, index, latent);
  return time;
}

/** Go to a feature. @returns milliseconds until the frame with its number and its strongest example is painted */
async function step(tab, index, latent, { hash, key }) {
  const [{ activation }] = await index.examplesOf(latent);
  await tab.evaluate(
    ([to, wanted, strongest]) => {
      globalThis.stepTime = new Promise((resolve, reject) => {
        let start;
        const isShown = () => {
          const title = document.querySelector('.feature:not(.ahead) .feature-head h1')?.textContent ?? '';
          const first = document.querySelector(
            '.feature:not(.ahead) .example:has(.t.peak) > .value',
          )?.textContent;
          return title.endsWith(` ${wanted}`) && Math.abs(Number(first) / strongest - 1) < 0.01;
        };
        const painted = new MessageChannel();
        painted.port1.onmessage = () => resolve(performance.now() - start);
        const look = () => {
          // A message that is sent inside a frame arrives when it is painted.
          if (isShown()) painted.port2.postMessage('');
          else if (start && performance.now() - start > 20_000)
            reject(new Error(`feature ${wanted} is not shown`));
          else requestAnimationFrame(look);
        };
        requestAnimationFrame(look);
        if (to) {
          start = performance.now();
          location.hash = to;
        } else document.addEventListener('keydown', (event) => (start = event.timeStamp), { once: true });
      });
    },
    [hash, String(latent), activation],
  );
  if (key) await tab.keyboard.press(key);
  const time = await tab.evaluate(() => globalThis.stepTime);
  await expectFeature(tab, index, latent);
  return time;
}

/** What is shown is what the index holds: the number, and the activations of the strongest examples. */
async function expectFeature(tab, index, latent) {
  const shown = await tab.evaluate(() => ({
    title: document.querySelector('.feature:not(.ahead) .feature-head h1').textContent.trim(),
    values: [...document.querySelectorAll('.feature:not(.ahead) .group:first-child .example > .value')].map(
      (e) => e.textContent,
    ),
  }));
  const top = (await index.examplesOf(latent)).filter(({ group }) => group === 'top');
  const isRight =
    shown.title.endsWith(` ${latent}`) &&
    shown.values.length === top.length &&
    top.every(({ activation }, i) => Math.abs(Number(shown.values[i]) / activation - 1) < 0.01);
  if (!isRight) throw new Error(`The page shows ${JSON.stringify(shown)} for feature ${latent}.`);
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.svg': 'image/svg+xml' };
const COMPRESSED = new Set(['.html', '.js', '.css', '.json']);

/** Files as GitHub Pages and others give them: ranges of what is not compressed, gzip of text. */
async function staticHost(folder) {
  const server = createServer((request, response) => {
    const { pathname } = new URL(request.url, 'http://host');
    const path = join(folder, pathname.endsWith('/') ? `${pathname}index.html` : pathname);
    if (!existsSync(path)) return response.writeHead(404).end();
    const bytes = readFileSync(path);
    const type = extname(path);
    response.setHeader('Content-Type', TYPES[type] ?? 'application/octet-stream');
    const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.range ?? '') ?? [];
    if (first !== undefined) {
      response.setHeader('Content-Range', `bytes ${first}-${last}/${bytes.length}`);
      return response.writeHead(206).end(bytes.subarray(Number(first), Number(last) + 1));
    }
    if (!COMPRESSED.has(type)) return response.end(bytes);
    response.setHeader('Content-Encoding', 'gzip');
    return response.end(gzipSync(bytes));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() };
}

/** Upper bounds to reach. */
const TARGETS = {
  'first paint': 1000,
  'open a feature by its address, cold': 1000,
  'feature to feature, cold': 250,
  'feature to feature, warm': 50,
  'compressed script': 200_000,
};

function report(rounds, flags, log) {
  const rows = Object.entries(TARGETS).map(([name, target]) => {
    const unit = name === 'compressed script' ? 'bytes' : 'ms';
    const summary = summarize(rounds.map((round) => round[name]));
    if (flags.json)
      console.log(
        jsonLine('page', name, 'monoseme', unit === 'ms' ? 'milliseconds' : 'bytes', unit, summary),
      );
    const values = [summary.min, summary.median, summary.max].map((value) => value.toFixed(0));
    return [`${name}, ${unit}`, ...values, `under ${target}`];
  });
  log(table(['', 'min', 'median', 'max', 'to reach'], rows));
}
