/** The built page over a small real index, for the tests of one file. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before } from 'node:test';
import { addExplanations } from '../../monoseme/dist/features/index.js';
import { serveExplorer } from '../../monoseme/dist/server/index.js';
import { liveParts } from '../../monoseme/dist/testing/live-parts.js';
import { buildSmallIndex, SMALL_LATENTS } from '../../monoseme/dist/testing/small-index.js';
import { temporaryFolder } from './browser.js';
import { browser, openTab, page, SIZES } from './page.js';

/**
 * Serves the index, which has two explanations, while the tests of the file run; as `live` once more with a model. What it
 * returns is whole once they do.
 */
export function smallSite({ live = false } = {}) {
  const folder = temporaryFolder();
  const index = join(folder.path, 'index');
  const site = {
    folder: folder.path,
    open: (hash, options = SIZES.desktop, base = site.server.url) => openTab(base, hash, options),
  };
  let parts;
  before(async () => {
    await buildSmallIndex(index);
    const explanations = join(folder.path, 'explanations.jsonl');
    writeFileSync(
      explanations,
      `{"latent": ${SMALL_LATENTS.cat}, "text": "the word <b>cat</b>", "model": "some-model", "score": 0.75}\n` +
        `{"latent": ${SMALL_LATENTS.accent}, "text": "letters with an accent"}\n`,
    );
    await addExplanations(index, [explanations]);
    site.server = await serveExplorer({ index, page, port: 0 });
    if (!live) return;
    parts = await liveParts();
    site.live = await serveExplorer({ index, page, port: 0, live: parts });
  });
  after(async () => {
    await browser?.close();
    await site.server?.close();
    await site.live?.close();
    await parts?.runner.close();
    folder.remove();
  });
  return site;
}
