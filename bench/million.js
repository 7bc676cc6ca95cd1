/** `npm run bench -- million`: the page over an index of a million features, in a real Chromium. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openFeatureIndex } from 'monoseme/features';
import { serveExplorer } from 'monoseme/server';
import { benchOptions, monoseme, trained, withBrowser } from './command.js';
import { environmentText, jsonLine, summarize, table } from './measure.js';
import { holdsIndex, makeLargeIndex } from './million-index.js';

const HELP = `Usage: npm run bench -- million [options]

How long the page takes with an index of a million features: first rows, a column sorted and filtered, searches, the end of
the list, and from feature to feature. A case starts cold, in a browser that has read the first rows alone, and is done again.
Then all orders of the list one after the other: what the last one takes, one of the last six again, one that was forgotten
again, and the memory of the tab.

  --index <folder>    keep the index there, or take the one that is there (making it takes some 10 minutes)
  --features <n>      (default: 1000000)
  --from <folder>     a real index whose features are multiplied (default: 1,024 features are trained first)
  --rounds <n>        (default: 3)
  --screenshots <folder>  pictures of what was measured
  --quick             a tiny run that checks the benchmark itself
  --json              lines of JSON on stdout, everything else on stderr`;

/** @param {string[]} args command-line options */
export async function million(args) {
  const options = {
    index: { type: 'string' },
    features: { type: 'string', default: '1000000' },
    from: { type: 'string' },
    rounds: { type: 'string', default: '3' },
    screenshots: { type: 'string' },
  };
  const asked = benchOptions(args, HELP, options);
  if (!asked) return;
  const { flags, log } = asked;
  log(`${environmentText()}\n`);
  await withBrowser('million', async (browser, temporary) => {
    const index = flags.index ?? join(temporary, 'index');
    const nFeatures = flags.quick ? 5000 : Number(flags.features);
    await prepare(index, nFeatures, temporary, flags, log);
    const wanted = cases(await searches(index), nFeatures);
    const server = await serveExplorer({ index, port: 0 });
    const found = {};
    for (let round = 0; round < (flags.quick ? 1 : Number(flags.rounds)); round++)
      for (const [name, times] of Object.entries(await measured(browser, server.url, wanted, flags)))
        (found[name] ??= []).push(times);
    const lists = await manyLists(browser, server.url);
    await server.close();
    report(found, lists, flags, log);
  });
}

async function prepare(index, nFeatures, temporary, flags, log) {
  if (holdsIndex(index, nFeatures)) return;
  let { from } = flags;
  if (!from) {
    const dictionary = trained(join(temporary, 'dictionary'), flags.quick, 1024);
    from = join(temporary, 'real');
    const tokens = flags.quick ? '40960' : '2000000';
    monoseme(['index', dictionary, '--out', from, '--tokens', tokens, '--ablations', '0']);
  }
  await makeLargeIndex(from, index, nFeatures, log);
}

/** What is looked for: a frequent word, one that latents predict, a few tokens that stand somewhere in the text, a usual density. */
async function searches(folder) {
  const index = await openFeatureIndex(folder);
  const { counts } = JSON.parse(readFileSync(join(folder, 'vocabulary.json'), 'utf8'));
  const vocabulary = await index.vocabulary();
  const words = [...counts.keys()].filter((id) => /^ [a-z]{3,}$/.test(vocabulary[id]) && counts[id] > 0);
  words.sort((a, b) => counts[b] - counts[a]);
  const middle = Math.floor(index.details.corpus.n_tokens / 2);
  const tokens = await index.tokens(middle, middle + 3);
  const text = Array.from(tokens, (token) => vocabulary[token])
    .join('')
    .trim();
  let predicted = 0;
  while ((await index.promotersOf(words[predicted])).length === 0) predicted++;
  const density = (await index.figures('density')).filter((share) => share > 0).sort();
  const bin = Math.floor(4 * Math.log10(density[density.length >> 1])) / 4;
  return { token: words[Math.min(50, words.length - 1)], predicted: words[predicted], text, bin };
}

/** Cases: what a reader does, and what may take longer than feature to feature. */
function cases({ token, predicted, text, bin }, nFeatures) {
  const list = (query) => [`#/?${query}`];
  return {
    'sort by density': list('sort=density&dir=desc'),
    'sort by largest activation': list('sort=max_activation&dir=desc'),
    'filter by density': list(`density=${bin},${bin + 0.25}`),
    'search a token': list(`on=${token}`),
    'search a predicted token': list(`promotes=${predicted}`),
    'search text': list(`text=${encodeURIComponent(text)}`),
    'end of the list': ['end'],
    'open a feature': [`#/feature/${Math.floor(0.777 * nFeatures)}`],
    'next feature': [`#/feature/${Math.floor(nFeatures / 3)}`, `#/feature/${Math.floor(nFeatures / 3) + 1}`],
  };
}

/** Of every case the milliseconds cold and warm. */
async function measured(browser, url, wanted, flags) {
  const found = {};
  for (const [name, steps] of Object.entries(wanted)) {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
    const tab = await context.newPage();
    const start = await firstRows(tab, url);
    await tab.waitForTimeout(500);
    for (const step of steps.slice(0, -1)) await shown(tab, step);
    const cold = await shown(tab, steps.at(-1));
    if (flags.screenshots)
      await tab.screenshot({ path: join(flags.screenshots, `${name.replaceAll(' ', '-')}.png`) });
    await shown(tab, steps.length > 1 ? steps[0] : steps[0] === 'end' ? 'start' : '#/');
    found[name] = [cold, await shown(tab, steps.at(-1))];
    (found['first rows'] ??= [start, start])[0] = start;
    await context.close();
  }
  return found;
}

async function firstRows(tab, url) {
  const start = performance.now();
  await tab.goto(url, { waitUntil: 'commit' });
  await tab.locator('.rows .row .density-cell').first().waitFor();
  return performance.now() - start;
}

/** Go somewhere. @returns milliseconds until what is in the window changes no more */
async function shown(tab, where) {
  return tab.evaluate(async (to) => {
    const inWindow = (element) => {
      const { top, bottom } = element.getBoundingClientRect();
      return bottom > 0 && top < window.innerHeight;
    };
    const lines = () =>
      [...document.querySelectorAll('.rows .row, .feature:not(.ahead) .example')].filter(inWindow);
    const isWhole = (row) => row.matches('.example') || row.querySelector('.density-cell, .never');
    const heads = () =>
      [...document.querySelectorAll('h1, h2')].filter((head) => !head.closest('.feature.ahead'));
    const text = () => [...heads(), ...lines()].map((line) => line.textContent).join('\n');
    const before = text();
    const start = performance.now();
    if (to === 'start') window.scrollTo(0, 0);
    else if (to === 'end') window.scrollTo(0, document.documentElement.scrollHeight);
    else location.hash = to;
    let [last, changed] = [before, start];
    return new Promise((resolve, reject) => {
      const look = () => {
        const now = performance.now();
        const current = text();
        if (current !== last) [last, changed] = [current, now];
        const rows = lines();
        if (changed > start && now - changed > 300 && rows.length > 0 && rows.every(isWhole))
          resolve(changed - start);
        else if (now - start > 20_000)
          reject(
            new Error(`${to} is not there after 20 seconds: ${rows.length} rows, ${text().slice(0, 300)}`),
          );
        else requestAnimationFrame(look);
      };
      requestAnimationFrame(look);
    });
  }, where);
}

/** Orders of the list, more than the page keeps. */
const ORDERS = [
  ...['density', 'max_activation', 'mean_activation', 'median_activation', 'n_contexts', 'top_token_share'],
  ...['skewness', 'n_fired', 'max_logit', 'min_logit', 'logit_kurtosis', 'nearest_cosine', 'encoder_bias'],
];

/** One list after the other: milliseconds of some, and the bytes of the tab's process after six and after all. */
async function manyLists(browser, url) {
  const context = await browser.newContext({ viewport: { width: 1440, height: 900 } });
  const tab = await context.newPage();
  const session = await browser.newBrowserCDPSession();
  const memory = () => rendererBytes(session);
  const before = await memory();
  await firstRows(tab, url);
  // Up and down in turn, so that no two lists begin alike.
  const list = (key) => shown(tab, `#/?sort=${key}&dir=${ORDERS.indexOf(key) % 2 === 0 ? 'desc' : 'asc'}`);
  const bytes = [];
  for (const [i, key] of ORDERS.entries()) {
    await list(key);
    if (i === 5) bytes.push((await memory()) - before);
  }
  bytes.push((await memory()) - before);
  const times = {
    'another list': await list('decoder_norm'),
    'a list kept, again': await list(ORDERS.at(-3)),
    'a list forgotten, again': await list(ORDERS[0]),
  };
  await context.close();
  return { times, bytes };
}

/** Bytes that all tabs of the browser hold; 0 where the system does not say. */
async function rendererBytes(session) {
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  return processInfo
    .filter(({ type }) => type === 'renderer')
    .map(({ id }) => `/proc/${id}/status`)
    .filter((path) => existsSync(path))
    .map((path) => 1024 * Number(/^VmRSS:\s+(\d+)/m.exec(readFileSync(path, 'utf8'))?.[1] ?? 0))
    .reduce((sum, n) => sum + n, 0);
}

/** What a reader may wait: from feature to feature by the page's own figures; for a million to be sorted or searched more. */
function targetsOf(name) {
  if (name === 'first rows') return [1000];
  return name.includes('feature') || name.includes('end') ? [250, 50] : [1000, 250];
}

function report(found, lists, flags, log) {
  const rows = Object.entries(found).flatMap(([name, rounds]) =>
    targetsOf(name).map((target, i) => {
      const summary = summarize(rounds.map((times) => times[i]));
      return row(`${name}, ${i === 0 ? 'cold' : 'warm'}`, summary, target, flags);
    }),
  );
  for (const [name, time] of Object.entries(lists.times))
    rows.push(row(name, summarize([time]), name.includes('kept') ? 250 : 1000, flags));
  log(table(['ms', 'min', 'median', 'max', 'to reach'], rows));
  const [six, all] = lists.bytes.map((bytes) => Math.round(bytes / 1e6));
  log(`memory of the tab: ${six} MB after six lists, ${all} MB after ${ORDERS.length}`);
  if (flags.json)
    console.log(jsonLine('million', 'tab after all lists', 'monoseme', 'memory', 'MB', summarize([all])));
}

function row(name, summary, target, flags) {
  if (flags.json) console.log(jsonLine('million', name, 'monoseme', 'milliseconds', 'ms', summary));
  const values = [summary.min, summary.median, summary.max].map((value) => value.toFixed(0));
  return [name, ...values, `under ${target}`];
}
