/**
 * Bundles the screen into dist/renderer: `npx vite build renderer`. Addresses are relative, so that the same
 * bundle is served by the loopback server and loaded by Electron. Monaco's worker is a chunk of ours.
 */
import vue from '@vitejs/plugin-vue';
import { defineConfig } from 'vite';

export default defineConfig({
  base: './',
  plugins: [vue()],
  worker: { format: 'es' },
  build: {
    outDir: '../dist/renderer',
    emptyOutDir: true,
    target: 'es2024',
    chunkSizeWarningLimit: 5000,
    reportCompressedSize: false,
    modulePreload: { polyfill: false },
  },
});
