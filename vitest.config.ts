import { defineConfig } from 'vitest/config';
import { ProgressReporter } from './test/progress.mjs';

/** Where results go as JSON, too, for programs that count them. */
const report = process.env.KVORUM_TEST_REPORT;

export default defineConfig({
  test: {
    include: ['test/**/*.test.ts'],
    globalSetup: ['test/setup.mjs'],
    // These only end what hangs: no test says how fast anything is.
    testTimeout: 180_000,
    hookTimeout: 300_000,
    // Two cores is the size we plan for; more workers only make the servers under test starve.
    maxWorkers: 2,
    reporters: [
      new ProgressReporter(),
      ...(report === undefined ? [] : [['json', { outputFile: report }] as ['json', object]]),
    ],
  },
});
