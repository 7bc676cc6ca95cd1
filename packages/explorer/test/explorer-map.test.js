/** The map of a dictionary. */
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { SMALL_D_SAE } from '../../monoseme/dist/testing/small-index.js';
import { skip, FEATURE } from './page.js';
import { smallSite } from './small-site.js';

const site = smallSite();

describe('the map', { skip }, () => {
  test('points open features, clusters and a lasso make lists', async () => {
    const { tab, complaints, close } = await site.open('#/map?colour=cluster');
    const name = await tab.locator('.clusters a').first().innerText();
    assert.match(await tab.locator('.plane-names').innerText(), /␣/);
    await tab.waitForFunction(() => {
      const gl = globalThis.document.querySelector('.plane canvas').getContext('webgl');
      const pixels = new Uint8Array(4 * gl.drawingBufferWidth * gl.drawingBufferHeight);
      gl.readPixels(0, 0, gl.drawingBufferWidth, gl.drawingBufferHeight, gl.RGBA, gl.UNSIGNED_BYTE, pixels);
      return pixels.some((value) => value > 0);
    });
    await tab.locator('.clusters a').first().click();
    await tab.waitForURL(/cluster=0/);
    await tab.getByText(/matching features?/).waitFor();
    assert.equal(await tab.locator('.chip code').innerText(), name);
    await tab.locator('.rows .row a').first().click();
    await tab.locator(`${FEATURE} .side a`, { has: tab.locator('code', { hasText: name }) }).waitFor();
    await tab.locator('#search').fill(name.split(/ +/)[0].replaceAll('␣', ''));
    await tab
      .getByRole('option', { name: /Cluster/ })
      .first()
      .click();
    await tab.waitForURL(/cluster=/);
    await tab.goto(`${site.server.url}#/map?colour=cluster`);
    const box = await tab.locator('.plane canvas').boundingBox();
    await tab.getByRole('button', { name: 'lasso' }).click();
    await tab.mouse.move(box.x + 4, box.y + 4);
    await tab.mouse.down();
    for (const [x, y] of [
      [1, 0],
      [1, 1],
      [0, 1],
    ])
      await tab.mouse.move(box.x + 4 + x * (box.width - 8), box.y + 4 + y * (box.height - 8));
    await tab.mouse.up();
    await tab.waitForURL(/only=/);
    await tab.getByText(`${SMALL_D_SAE - 1} matching features`).waitFor();
    assert.deepEqual(complaints, []);
    await close();
  });

  test('without WebGL it says so, and the clusters still list features', async () => {
    const { tab, close } = await site.open('#/');
    await tab.addInitScript(() => {
      globalThis.HTMLCanvasElement.prototype.getContext = () => null;
    });
    await tab.goto(`${site.server.url}#/map`);
    await tab.reload();
    await tab.getByText('This browser shows no WebGL').waitFor();
    assert.ok((await tab.locator('.clusters a').count()) > 0);
    await close();
  });
});
