/** Entries that have no code of their own: they hand on what another package exports. */

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Writes each of `forwards` (entry -> where it leads) for both kinds of modules. Those of
 * `withDefault` have a default export, too, which is not part of all.
 */
export function writeForwards(dir, forwards, withDefault = []) {
  for (const [entry, to] of Object.entries(forwards)) {
    const named = `export * from '${to}';\n`;
    const hasDefault = withDefault.includes(entry);
    const all = hasDefault ? `${named}export { default } from '${to}';\n` : named;
    for (const extension of ['js', 'd.ts', 'd.cts']) {
      writeFileSync(join(dir, `${entry}.${extension}`), all);
    }
    // The second line changes nothing; by it tools see the default without running this.
    const seen = hasDefault ? 'module.exports.default = module.exports.default;\n' : '';
    writeFileSync(join(dir, `${entry}.cjs`), `module.exports = require('${to}');\n${seen}`);
  }
}
