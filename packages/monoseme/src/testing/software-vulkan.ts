import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { brotliDecompressSync } from 'node:zlib';

/**
 * Unpack the Vulkan that computes on the CPU (SwiftShader) and its loader, as the npm package of Chromium has them for Linux on
 * x64.
 *
 * @returns the folder, to be removed when it is used no more, and the environment of a process that is to find them; undefined
 * where there are none
 */
export function softwareVulkan(): { folder: string; environment: Record<string, string> } | undefined {
  if (process.platform !== 'linux' || process.arch !== 'x64') return undefined;
  let packed: Buffer;
  try {
    const entry = createRequire(import.meta.url).resolve('@sparticuz/chromium');
    packed = readFileSync(join(dirname(entry), '../../bin/swiftshader.tar.br'));
  } catch {
    return undefined;
  }
  const folder = mkdtempSync(join(tmpdir(), 'monoseme-vulkan-'));
  execFileSync('tar', ['-xf', '-', '-C', folder], { input: brotliDecompressSync(packed) });
  const driver = join(folder, 'vk_swiftshader_icd.json');
  return {
    folder,
    environment: { LD_LIBRARY_PATH: folder, VK_ICD_FILENAMES: driver, VK_DRIVER_FILES: driver },
  };
}
