// The end-to-end suite: the built product, driven as a person drives it, in Debian's Chromium against the loopback server,
// and in Electron where its binary is.
import { defineConfig } from '@playwright/test';

export default defineConfig({
  testDir: '.',
  testMatch: '*.spec.ts',
  outputDir: '../test-results/end-to-end',
  timeout: 480_000,
  expect: { timeout: 30_000 },
  workers: 1,
  retries: 1,
  reporter: [['list'], ['json']],
  forbidOnly: true,
});
