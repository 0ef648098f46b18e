/** Arguments as they may be shown to others. */

import { flagByName } from './flags-table.js';

const hidden = '[not shown]';

/** `argv` without the values of flags that hold secrets. */
export function withoutSecrets(argv: readonly string[]): string[] {
  return argv.map((word, i) => {
    const equals = word.indexOf('=');
    if (isSecret(equals < 0 ? '' : word.slice(0, equals))) {
      return `${word.slice(0, equals)}=${hidden}`;
    }
    return isSecret(argv[i - 1] ?? '') ? hidden : word;
  });
}

function isSecret(flag: string): boolean {
  return flag.startsWith('-') && flagByName.get(flag.replace(/^--?/, ''))?.secret === true;
}
