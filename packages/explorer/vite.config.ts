import { defineConfig } from 'vite';
import solid from 'vite-plugin-solid';

/** Relative addresses, no inline script and no outside host: the page works on any static host and under a strict CSP. */
export default defineConfig({
  base: './',
  plugins: [solid()],
  build: {
    outDir: 'dist/page',
    emptyOutDir: true,
    target: 'es2022',
    modulePreload: { polyfill: false },
    assetsInlineLimit: 0,
    reportCompressedSize: true,
  },
});
