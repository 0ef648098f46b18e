/** Entries that have no code of their own: they hand on what another package exports. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Writes each of `forwards` (entry -> where it leads) for both kinds of modules. */
export function writeForwards(dir, forwards) {
  for (const [entry, to] of Object.entries(forwards)) {
    const all = `export * from '${to}';\n`;
    for (const extension of ['js', 'd.ts', 'd.cts']) {
      writeFileSync(join(dir, `${entry}.${extension}`), all);
    }
    writeFileSync(join(dir, `${entry}.cjs`), `module.exports = require('${to}');\n`);
  }
}
