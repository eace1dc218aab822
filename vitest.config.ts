import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: { include: ['{kernel,images,electron,renderer}/**/*.test.ts'], testTimeout: 60_000 },
});
