/**
 * vitest's default reporter, with a count of the files in front of each that is finished, on a
 * terminal or not; and a memory of how long each took, for what test/setup.mjs says beforehand.
 */

import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DefaultReporter } from 'vitest/node';

const durationsFile = fileURLToPath(
  new URL('../node_modules/.cache/kvorum/test-durations.json', import.meta.url),
);

/** Milliseconds by path, with `long ` before it for runs with KVORUM_SLOW=1. Empty if unknown. */
export function readDurations() {
  try {
    return JSON.parse(readFileSync(durationsFile, 'utf8'));
  } catch {
    return {};
  }
}

export class ProgressReporter extends DefaultReporter {
  #total = 0;
  #finished = 0;
  #startMs = 0;

  onTestRunStart(specifications) {
    this.#total = specifications.length;
    this.#finished = 0;
    this.#startMs = performance.now();
    super.onTestRunStart(specifications);
  }

  getModuleLog(module, counts) {
    this.#finished += 1;
    const width = String(this.#total).length;
    const count = `${String(this.#finished).padStart(width)}/${this.#total}`;
    return ` ${count} ${this.#elapsed()}${super.getModuleLog(module, counts)}`;
  }

  onTestRunEnd(modules, errors, reason) {
    super.onTestRunEnd(modules, errors, reason);
    const durations = readDurations();
    const prefix = process.env.KVORUM_SLOW === '1' ? 'long ' : '';
    for (const module of modules) {
      const { collectDuration, duration, prepareDuration } = module.diagnostic();
      const ms = collectDuration + duration + prepareDuration;
      if (module.state() !== 'skipped') durations[`${prefix}${module.moduleId}`] = Math.ceil(ms);
    }
    try {
      mkdirSync(dirname(durationsFile), { recursive: true });
      writeFileSync(durationsFile, JSON.stringify(durations));
    } catch {
      // A checkout that cannot be written is tested all the same.
    }
  }

  #elapsed() {
    const seconds = Math.round((performance.now() - this.#startMs) / 1000);
    return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
  }
}
