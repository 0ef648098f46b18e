import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    testTimeout: 30_000,
    hookTimeout: 60_000,
    // Two cores is the size we plan for; more workers only make the servers under test starve.
    maxWorkers: 2,
    reporters: ['default'],
  },
});
