import { readFileSync, writeFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { errorTable, GrpcCode } from '../../src/common/index.js';
import * as commonLimits from '../../src/common/limits.js';
import { gateTable } from '../../src/server/options/feature-gates.js';
import { flagGroups } from '../../src/server/options/flag-spec.js';
import { flagByName, flagTable } from '../../src/server/options/flags-table.js';
import { removedFlagNames, removedFlagRemedy } from '../../src/server/options/removed-flags.js';
import * as transportLimits from '../../src/transport/limits.js';

const pathOf = (name: string) => new URL(`../../docs/${name}`, import.meta.url);
const read = (name: string) => readFileSync(pathOf(name), 'utf8');

/** Cells of every table row of a page, without the back quotes. */
function rowsOf(page: string): string[][] {
  return page
    .split('\n')
    .filter((line) => line.startsWith('| `'))
    .map((line) =>
      line
        .slice(1, -1)
        .split('|')
        .map((cell) => cell.trim().replace(/^`|`$/g, '')),
    );
}

describe('docs/errors.md', () => {
  const codeName = (code: number) =>
    Object.entries(GrpcCode).find(([, value]) => value === code)?.[0];

  it('has each error of the code, with its code and text, in the same order', () => {
    const documented = rowsOf(read('errors.md')).map(([reason, code, text]) => [
      reason,
      code,
      text,
    ]);
    const actual = Object.entries(errorTable).map(([reason, [code, text]]) => [
      reason,
      `${code} ${codeName(code)}`,
      text,
    ]);
    expect(documented, 'each error has a row in docs/errors.md').toEqual(actual);
  });

  it('says when each happens', () => {
    for (const [reason, , , when = ''] of rowsOf(read('errors.md'))) {
      expect(when.length, reason).toBeGreaterThan(10);
    }
  });
});

describe('docs/limits.md', () => {
  const { transportLimitsDefault, ...transportConstants } = transportLimits;

  it('has each limit of the code, with its value', () => {
    const documented = rowsOf(read('limits.md')).map(([name, value]) => `${name} = ${value}`);
    const actual = Object.entries({
      ...commonLimits,
      ...transportLimitsDefault,
      ...transportConstants,
    })
      // What is derived from other limits has no row of its own.
      .filter(([, value]) => typeof value !== 'function')
      .map(([name, value]) => `${name} = ${value}`);
    const hint = 'each limit has a row in docs/limits.md: name, value, why, what happens then';
    expect(documented.toSorted(), hint).toEqual(actual.toSorted());
  });

  it('says why it is there and what happens when it is reached', () => {
    for (const [name, , why = '', policy = ''] of rowsOf(read('limits.md'))) {
      expect(Math.min(why.length, policy.length), name).toBeGreaterThan(2);
    }
  });
});

const flagColumns = '| flag | default | status | | differs from etcd |';

/** What stands between the two comments of the page, as it should be. */
const generated: Readonly<Record<string, () => string>> = {
  flags() {
    const lines: string[] = [];
    for (const group of flagGroups) {
      lines.push('', `### ${group}`, '', flagColumns, '|---|---|---|---|---|');
      for (const spec of flagTable) {
        if (spec.group !== group) continue;
        const value = spec.default === '' ? '' : `\`${spec.default}\``;
        const { differs, help, name, status } = spec;
        lines.push(`| \`--${name}\` | ${value} | ${status} | ${help} | ${differs} |`);
      }
    }
    return [...lines, ''].join('\n');
  },
  gates() {
    const rows = gateTable.map(([name, stage, text]) => `| \`${name}\` | ${stage} | ${text} |`);
    return ['', '| gate | stage | |', '|---|---|---|', ...rows, ''].join('\n');
  },
  removed() {
    const remedy = (name: string) =>
      removedFlagRemedy(name.replace('*', 'x'), (other) => flagByName.has(other));
    const rows = removedFlagNames.map((name) => `| \`--${name}\` | ${remedy(name)} |`);
    return ['', '| flag | instead |', '|---|---|', ...rows, ''].join('\n');
  },
};

describe('docs/configuration.md', () => {
  if (process.env.UPDATE_DOCS === '1') {
    let page = read('configuration.md');
    for (const [name, make] of Object.entries(generated)) {
      const section = new RegExp(`(<!-- ${name}\\b[^\\n]*-->\\n)[\\s\\S]*?(<!-- /${name} -->)`);
      page = page.replace(section, (_, open: string, close: string) => open + make() + close);
    }
    writeFileSync(pathOf('configuration.md'), page);
  }

  for (const [name, make] of Object.entries(generated)) {
    it(`has the table of ${name} that the code has`, () => {
      const section = new RegExp(`<!-- ${name}\\b[^\\n]*-->\\n([\\s\\S]*?)<!-- /${name} -->`);
      const found = section.exec(read('configuration.md'))?.[1];
      expect(found, 'run: UPDATE_DOCS=1 npx vitest run test/server/docs.test.ts').toBe(make());
    });
  }
});
