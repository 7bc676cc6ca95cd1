/** A server that is killed while it answers: the page says so, shows what it has, and goes on once the server is back. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SMALL_LATENTS } from '../../monoseme/dist/testing/small-index.js';
import { FEATURE, SIZES, skip } from './page.js';
import { smallSite } from './small-site.js';

const PROGRAM = fileURLToPath(new URL('live-server-process.js', import.meta.url));
const LONG = 'The whale and the sea, the old ship and a new moon over the water. '.repeat(60);
const site = smallSite();

/** @type {Set<import('node:child_process').ChildProcess>} */
const running = new Set();
after(() => running.forEach((child) => child.kill('SIGKILL')));

async function start(port = 0) {
  const child = spawn(process.execPath, [PROGRAM, join(site.folder, 'index'), String(port)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  running.add(child);
  const [line] = await once(child.stdout, 'data');
  const url = String(line).trim();
  const kill = async () => {
    running.delete(child);
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  return { url, port: new URL(url).port, kill };
}

/** Answers to be killed: address, its request, and what is there once it was answered. */
const ANSWERS = {
  encode: [`#/text?a=${encodeURIComponent(LONG)}`, '.feature-list tr'],
  ablate: [`#/text?a=${encodeURIComponent(LONG)}&rank=effect`, '.feature-list .value'],
  steer: ['#/steer/3?run=1&tokens=96&strengths=-1,0,1,2', '.card'],
};

describe('a server that is killed while it answers', { skip }, () => {
  for (const [name, [hash, shown]] of Object.entries(ANSWERS))
    test(`${name}: the page says so, and goes on once it is back`, async () => {
      const server = await start();
      const { tab, close } = await site.open('#/', SIZES.desktop, server.url);
      await tab.locator('.rows .row .density-cell').first().waitFor();
      // The answer has begun and is not whole.
      const begun = tab.waitForResponse((response) => response.url().endsWith(`/${name}`));
      await tab.evaluate((address) => (location.hash = address), hash);
      await begun;
      await server.kill();
      const alert = tab.getByRole('alert');
      await alert.getByText('The model does not answer').waitFor();
      await alert.getByText('What this tab has read before goes on working').waitFor();
      assert.equal(await tab.locator('progress').count(), 0);

      // Again while it is away: the same words, and nothing that hangs.
      await alert.getByRole('button', { name: 'Try again' }).click();
      await alert.getByText('The model does not answer').waitFor();
      // What was read is shown, what was not says why.
      await tab.getByRole('link', { name: 'Features' }).click();
      await tab.locator('.rows .row .density-cell').first().waitFor();
      await tab.evaluate((latent) => (location.hash = `#/feature/${latent}`), SMALL_LATENTS.contexts);
      await alert.getByText('The host does not answer').waitFor();

      const back = await start(server.port);
      await alert.getByRole('button', { name: 'Try again' }).click();
      await tab.locator(`${FEATURE} .example`).first().waitFor();
      await tab.goBack();
      await tab.goBack();
      await tab.locator(shown).first().waitFor();
      await close();
      await back.kill();
    });

  test('the same text read again is asked for again', async () => {
    const server = await start();
    const { tab, close } = await site.open('#/text', SIZES.desktop, server.url);
    await tab.getByRole('button', { name: 'Read' }).waitFor();
    await server.kill();
    await tab.getByRole('button', { name: 'Read' }).click();
    await tab
      .getByRole('alert')
      .getByText('The host does not answer')
      .or(tab.getByText('The model does not answer'))
      .waitFor();
    const back = await start(server.port);
    await tab.getByRole('button', { name: 'Read' }).click();
    await tab.locator('.feature-list tr').first().waitFor();
    assert.equal(await tab.getByRole('alert').count(), 0);
    await close();
    await back.kill();
  });
});
