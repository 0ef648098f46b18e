/** The process as /debug/vars shows it. */

import { readFileSync } from 'node:fs';
import type { ProcessFacts } from '../../common/index.js';
import { withoutSecrets } from '../options/index.js';

/** As it is now; `argv` is what came after the program. */
export function processFacts(argv: readonly string[]): ProcessFacts {
  const { external, heapTotal, heapUsed, rss } = process.memoryUsage();
  return {
    commandLine: ['kvorum', ...withoutSecrets(argv)],
    fileDescriptorsMax: fileDescriptorsMax(),
    residentBytes: rss,
    heapBytes: heapTotal,
    heapUsedBytes: heapUsed,
    externalBytes: external,
  };
}

/** Only Linux tells; a file that the kernel makes is read at once. */
function fileDescriptorsMax(): number {
  try {
    const limits = readFileSync('/proc/self/limits', 'utf8');
    return Number(/^Max open files\s+(\d+)/m.exec(limits)?.[1] ?? 0);
  } catch {
    return 0;
  }
}
