import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['{kernel,images,electron,renderer}/**/*.test.ts'],
    exclude: ['**/*.sim.test.ts', 'node_modules/**'],
    testTimeout: 60_000,
  },
});
