/**
 * docs/auth-matrix.md: the matrix as people read it, and as the tests do. The table has kvorum's
 * outcomes; where etcd's are others, a second table says which and why.
 */

import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { repoRoot } from '../../helpers/tools.js';
import { type MatrixDifference, matrixDifferences } from './differences.js';
import { type Outcome, shortNames } from './outcome.js';
import type { Row } from './row.js';
import { type CallerName, callers } from './world.js';

/** The outcome for each caller of a row. */
export type Outcomes = Readonly<Record<CallerName, Outcome>>;

const path = join(repoRoot, 'docs', 'auth-matrix.md');

/** What tells a row from all others. */
export function nameOf({ rpc, form }: Pick<Row, 'rpc' | 'form'>): string {
  return form === '' ? rpc : `${rpc}: ${form}`;
}

/** The page as it is; '' if there is none yet. */
export function readPage(): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

export function writePage(text: string): void {
  writeFileSync(path, text);
}

/** What the frequent outcomes are called, and numbers for the others in the order they come. */
class Names {
  readonly numbered: Outcome[] = [];

  of(outcome: Outcome): string {
    const short = shortNames.get(outcome);
    if (short !== undefined) return short;
    if (!this.numbered.includes(outcome)) this.numbered.push(outcome);
    return `[${this.numbered.indexOf(outcome) + 1}]`;
  }
}

/** The page's rows by name: kvorum's outcomes. */
export function outcomesOf(page: string): Map<string, Outcomes> {
  const lines = page.split('\n');
  const meanings = new Map([...shortNames].map(([outcome, short]) => [short, outcome]));
  for (const line of lines) {
    const [, number, outcome = ''] = /^- (\[\d+\]): `(.*)`$/.exec(line) ?? [];
    if (number !== undefined) meanings.set(number, outcome);
  }
  const found = new Map<string, Outcomes>();
  for (const line of lines.slice(0, lines.indexOf('## Differences'))) {
    if (!line.startsWith('| `')) continue;
    const [rpc = '', form = '', ...cells] = line.slice(2, -2).split(' | ');
    const outcomes = callers.map((caller, i) => {
      const cell = cells[i]?.trim() ?? '';
      return [caller, meanings.get(cell) ?? cell];
    });
    const row = { rpc: rpc.replaceAll('`', ''), form: form.trim() };
    found.set(nameOf(row), Object.fromEntries(outcomes) as Outcomes);
  }
  return found;
}

/** The cells of a row as etcd must have them, given kvorum's. */
export function etcdOutcomes(row: Row, kvorum: Outcomes): Outcomes {
  return changed(row, kvorum, ({ etcd }) => etcd);
}

/** The cells of a row as kvorum must have them, given etcd's. */
export function kvorumOutcomes(row: Row, etcd: Outcomes): Outcomes {
  return changed(row, etcd, ({ kvorum }) => kvorum);
}

function changed(
  row: Row,
  outcomes: Outcomes,
  to: (difference: MatrixDifference) => Outcome,
): Outcomes {
  const cells = { ...outcomes };
  for (const difference of matrixDifferences) {
    if (nameOf(difference) !== nameOf(row)) continue;
    for (const caller of difference.callers) cells[caller] = to(difference);
  }
  return cells;
}

/** The whole page, given kvorum's outcomes by row. */
export function renderPage(
  rows: readonly Row[],
  outcomes: ReadonlyMap<string, Outcomes>,
  version: string,
): string {
  const names = new Names();
  const matrix = rows.map((row) => {
    const found = outcomes.get(nameOf(row));
    const cells = callers.map((caller) => names.of(found?.[caller] ?? ''));
    return line([`\`${row.rpc}\``, row.form, ...cells]);
  });
  const differences = matrixDifferences.map(({ rpc, form, callers: who, etcd, kvorum, reason }) =>
    line([`\`${rpc}\``, form, who.join(', '), names.of(etcd), names.of(kvorum), reason]),
  );
  return [
    intro(version),
    ...[...shortNames]
      .filter(([outcome, short]) => outcome !== short)
      .map(([outcome, short]) => `- ${short}: \`${outcome}\``),
    '',
    '## Matrix',
    '',
    ...tableHead(['rpc', 'request', ...callers]),
    ...matrix,
    '',
    ...names.numbered.map((outcome, i) => `- [${i + 1}]: \`${outcome}\``),
    '',
    '## Differences',
    '',
    ...(differences.length === 0
      ? ['None.']
      : tableHead(['rpc', 'request', 'who', 'etcd', 'kvorum', 'why'])),
    ...differences,
    '',
  ].join('\n');
}

function line(cells: readonly string[]): string {
  return `| ${cells.join(' | ')} |`;
}

function tableHead(titles: readonly string[]): readonly string[] {
  return [line(titles), `|${'---|'.repeat(titles.length)}`];
}

function intro(version: string): string {
  return `# Who may what

What each call comes to when authentication is on: every rpc, in the forms that matter, by everybody
who may ask. \`test/auth/matrix.test.ts\` makes each of these calls of kvorum and of ${version}, and
holds both to this page; it is written by

\`\`\`sh no-run: writes this page anew
UPDATE_DOCS=1 npx vitest run test/auth/matrix.test.ts
\`\`\`

Who asks:

- no token, wrong token: without one, and with one that no member gave out;
- old token: of a user whose password was changed since;
- no role: of a user without a role;
- part: may read and write \`m/a\` up to \`m/c\`; reads, writes, full: may read, write, or both,
  all of prefix \`m/\`;
- root: has the role root;
- certificate: no token, but a verified client certificate that names a user who may what full may;
  certificate of nobody: one that names no user.

What is there: keys \`m/a\`, \`m/b\`, \`m/x\`, \`n/a\`, and leases of keys inside of prefix \`m/\`
and outside.

What it comes to: ok, or the code and the text of the error. The frequent ones have names, the
others a number that the list below the table explains. For a watch, a lock and an election etcd
wraps errors in its own way; an error that says nothing of permissions is one of somebody who has
them.
`;
}
