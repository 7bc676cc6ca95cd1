/** Damaged, missing, hostile and unusual files: each view says what happened, and what still works. */
import assert from 'node:assert/strict';
import { cpSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  importDashboards,
  openFeatureIndex,
  sourceNames,
  writeSaedashboard,
} from '../../monoseme/dist/features/index.js';
import { serveExplorer } from '../../monoseme/dist/server/index.js';
import { liveParts } from '../../monoseme/dist/testing/live-parts.js';
import { buildSmallIndex, SMALL_LATENTS, smallText } from '../../monoseme/dist/testing/small-index.js';
import { browser, page, SIZES, skip, FEATURE } from './page.js';
import { smallSite } from './small-site.js';

const site = smallSite();

describe('what is wrong is said', { skip }, () => {
  test('a broken index says what is broken and what to do', async () => {
    const cases = [
      ['manifest.json', { status: 404 }, 'There is no feature index here'],
      ['manifest.json', { json: { kind: 'dictionary', details: {} } }, 'This is not a feature index'],
      [
        'manifest.json',
        { json: { kind: 'feature-index', details: { index_version: 9 } } },
        'The index is of another version',
      ],
      [
        'manifest.json',
        { json: { kind: 'feature-index', details: { index_version: 1 } } },
        'The index is of another version',
      ],
      ['features.parquet', { status: 404 }, 'A file of the index is missing'],
      ['features.parquet', { body: 'short' }, 'A file of the index is cut short'],
      ['vocabulary.json', { status: 500 }, 'The host refused a file of the index'],
    ];
    for (const [file, answer, title] of cases) {
      const context = await browser.newContext(SIZES.desktop);
      const tab = await context.newPage();
      await tab.route(`**/index/${file}`, (route) =>
        route.fulfill({ contentType: 'application/json', ...answer }),
      );
      await tab.goto(site.server.url);
      const notice = tab.getByRole('alert');
      await notice.getByText(title).waitFor();
      assert.ok((await notice.locator('p').allInnerTexts()).every((text) => text.length > 8));
      await context.close();
    }
  });

  test('where a table is missing or the text is another, the rest can be read', async () => {
    const damaged = join(site.folder, 'damaged');
    cpSync(join(site.folder, 'index'), damaged, { recursive: true });
    const other = await serveExplorer({ index: damaged, page, port: 0 });
    const tokens = readFileSync(join(damaged, 'corpus/tokens.bin'));
    writeFileSync(
      join(damaged, 'corpus/tokens.bin'),
      tokens.map((byte, i) => (i === 100 ? byte ^ 1 : byte)),
    );
    const { tab, complaints, close } = await site.open(
      `#/feature/${SMALL_LATENTS.cat}`,
      SIZES.desktop,
      other.url,
    );
    await tab.getByRole('alert').getByText('The text is not the one of this index').waitFor();
    assert.equal(await tab.locator(`${FEATURE} .token-table.raises code`).first().innerText(), '␣sat');
    await tab.getByRole('link', { name: 'Back to the list' }).click();
    await tab.locator('.rows .row .density-cell').first().waitFor();
    assert.deepEqual(complaints, []);
    await close();

    truncateSync(join(damaged, 'details/part-00000.parquet'), 100);
    const short = await site.open(`#/feature/${SMALL_LATENTS.cat}`, SIZES.desktop, other.url);
    await short.tab.getByRole('alert').getByText('A file of the index is cut short').waitFor();
    await short.close();

    rmSync(join(damaged, 'details/part-00000.parquet'));
    const again = await site.open(`#/feature/${SMALL_LATENTS.cat}`, SIZES.desktop, other.url);
    await again.tab.getByRole('alert').getByText('A file of the index is missing').waitFor();
    await again.tab.getByRole('link', { name: 'Back to the list' }).click();
    await again.tab.locator('.rows .row .density-cell').first().waitFor();
    await again.close();

    rmSync(join(damaged, 'clusters.parquet'));
    const map = await site.open('#/map', SIZES.desktop, other.url);
    await map.tab.locator('.clusters').getByText('A file of the index is missing').waitFor();
    await map.tab.getByLabel('Map of').waitFor();
    await map.close();
    await other.close();
  });

  test('a server that ends in the middle: what was read stays, and what is asked says so', async () => {
    const parts = await liveParts();
    const mortal = await serveExplorer({ index: join(site.folder, 'index'), page, port: 0, live: parts });
    const { tab, close } = await site.open('#/text?a=a+cat', SIZES.desktop, mortal.url);
    await tab.locator('.feature-list tr').first().waitFor();
    const unread = await site.open('#/', SIZES.desktop, mortal.url);
    await unread.tab.route('**/index/features.parquet', (route) => route.abort());
    await unread.tab.goto(`${mortal.url}#/text?a=a+cat`);
    await unread.tab.reload();
    await unread.tab.getByRole('alert').getByText('The host does not answer').waitFor();
    await unread.close();
    await mortal.close();
    await parts.runner.close();
    await tab.getByLabel('Text', { exact: true }).fill('another text');
    await tab.getByRole('button', { name: 'Read' }).click();
    const notice = tab.getByRole('alert');
    await notice.getByText('The model does not answer').waitFor();
    await notice.getByText(/All other views go on working|Start .monoseme explore. again/).waitFor();
    await close();
    const reader = await serveExplorer({ index: join(site.folder, 'index'), page, port: 0 });
    const list = await site.open('#/', SIZES.desktop, reader.url);
    await list.tab.locator('.rows .row .density-cell').first().waitFor();
    await reader.close();
    await list.tab.evaluate((latent) => (location.hash = `#/feature/${latent}`), SMALL_LATENTS.contexts);
    await list.tab.getByRole('alert').getByText('The host does not answer').waitFor();
    await list.tab.getByRole('link', { name: 'Back to the list' }).click();
    await list.tab.locator('.rows .row .density-cell').first().waitFor();
    await list.close();
  });

  test('works from a plain file host that knows no ranges, in a folder', async () => {
    const folder = join(site.folder, 'site');
    cpSync(page, folder, { recursive: true });
    cpSync(join(site.folder, 'index'), join(folder, 'index'), { recursive: true });
    const types = { html: 'text/html', js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml' };
    const host = createServer((request, response) => {
      const path = join(folder, new URL(request.url, 'http://x').pathname.replace('/deep/folder', ''));
      const file = existsSync(path) && statSync(path).isDirectory() ? join(path, 'index.html') : path;
      if (!existsSync(file)) return response.writeHead(404).end();
      response.setHeader('Content-Type', types[file.split('.').at(-1)] ?? 'application/octet-stream');
      response.end(readFileSync(file));
    });
    await new Promise((resolve) => host.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${host.address().port}/deep/folder/`;
    const { tab, complaints, close } = await site.open(`#/feature/${SMALL_LATENTS.cat}`, SIZES.desktop, base);
    await tab.locator(`${FEATURE} .example .t.peak`, { hasText: 'cat' }).first().waitFor();
    assert.deepEqual(complaints, []);
    await close();
    await new Promise((resolve) => host.close(resolve));
  });

  test('text of an index is never markup', async () => {
    const text = smallText(60, 64);
    text.documents.forEach((document) => (document.id = `<img src=x onerror="document.title='owned'">`));
    const hostile = join(site.folder, 'hostile');
    await buildSmallIndex(hostile, { tokenSet: text });
    const manifest = JSON.parse(readFileSync(join(hostile, 'manifest.json'), 'utf8'));
    manifest.details.dictionary.model_name = '<script>document.title="owned"</script>';
    writeFileSync(join(hostile, 'manifest.json'), JSON.stringify(manifest));
    const other = await serveExplorer({ index: hostile, page, port: 0 });
    const { tab, complaints, close } = await site.open(
      `#/feature/${SMALL_LATENTS.cat}`,
      SIZES.desktop,
      other.url,
    );
    await tab.locator(`${FEATURE} .example`).first().waitFor();
    await tab.locator(`${FEATURE} .example .t.peak`).first().hover();
    assert.ok((await tab.locator('.source').first().innerText()).includes('<img'));
    assert.doesNotMatch(await tab.title(), /^owned/);
    assert.equal(await tab.locator('img, main script').count(), 0);
    assert.deepEqual(complaints, []);
    await close();
    await other.close();
  });
});

describe('an export of others', { skip }, () => {
  test('reads like an index, and says that it has no map', async () => {
    const index = await openFeatureIndex(join(site.folder, 'index'));
    const written = join(site.folder, 'saedashboard');
    await writeSaedashboard(index, written, sourceNames(index.details));
    await importDashboards(written, join(site.folder, 'imported'));
    const other = await serveExplorer({ index: join(site.folder, 'imported'), page, port: 0 });
    try {
      const { tab, complaints, close } = await site.open(
        `#/feature/${SMALL_LATENTS.cat}`,
        SIZES.desktop,
        other.url,
      );
      await tab.locator('.peak, mark').first().waitFor();
      assert.match(await tab.locator('main').innerText(), / cat/);
      await tab.goto(`${other.url}#/map`);
      await tab.getByText('This index has no map').waitFor();
      assert.deepEqual(complaints, []);
      await close();
    } finally {
      await other.close();
    }
  });
});
