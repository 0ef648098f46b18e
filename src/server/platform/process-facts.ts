/** The process as /debug/vars shows it. */

import { readFileSync } from 'node:fs';
import type { ProcessFacts } from '../../common/index.js';
import { withoutSecrets } from '../options/index.js';

/** As it is now. */
export function processFacts(): ProcessFacts {
  const { external, heapTotal, heapUsed, rss } = process.memoryUsage();
  return {
    commandLine: [process.argv0, ...withoutSecrets(process.argv.slice(1))],
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
