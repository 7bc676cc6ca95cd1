import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { MonosemeError } from '../errors.ts';

/** The page that was built with this toolkit. */
export const BUILT_PAGE = fileURLToPath(new URL('../../../explorer/dist/page/', import.meta.url));

/** @throws {MonosemeError} ERR_NOT_FOUND where no page is built */
export async function expectPage(page: string): Promise<void> {
  if (await stat(join(page, 'index.html')).catch(() => undefined)) return;
  throw new MonosemeError('ERR_NOT_FOUND', `There is no built page in ${page}.`, 'Run npm run build first.');
}
