import { defineConfig } from 'vitest/config';

/** Programs in the guest, simulations and crashes: whole machines, minutes rather than seconds. */
export default defineConfig({
  test: {
    include: ['{kernel,images,electron}/**/*.guest.ts', '{kernel,images,electron}/**/*.sim.test.ts'],
    testTimeout: 600_000,
    maxWorkers: 2,
  },
});
