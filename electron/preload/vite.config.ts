// The preload script as one CommonJS file, which a sandboxed window needs.
import { join } from 'node:path';
import { defineConfig } from 'vite';

export default defineConfig({
  build: {
    outDir: join(import.meta.dirname, '../../dist'),
    emptyOutDir: false,
    minify: false,
    lib: { entry: join(import.meta.dirname, 'preload.ts'), formats: ['cjs'], fileName: () => 'preload.cjs' },
    rolldownOptions: { external: ['electron'] },
  },
});
