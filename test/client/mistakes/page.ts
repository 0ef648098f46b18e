/** docs/client/mistakes.md, written from the list. `npx vitest run test/client/mistakes -u`. */

import { callMistakes, compilerMistakes, lintMistakes, type Mistake } from './list.js';

/** The whole page. */
export function pageOf(): string {
  return [
    '# Mistakes that are refused',
    '',
    'Wrong code, and what refuses it. `test/client/mistakes` runs each snippet; this page is written from its',
    'list. `kv` is a view of text, `session` an open session, and `userInput` is undefined.',
    '',
    '## A transaction that was never committed',
    '',
    'Nothing happens before `commit()`. Four things tell of one that was forgotten:',
    '',
    '- Awaiting the builder, or returning it from an async function, does not compile: each stage has a `then`',
    '  that is not the one of a promise (TS1320, TS1058). At run time `await` throws.',
    '- TypeScript has no way to refuse a value that is dropped, so `kv.txn().then(op);` compiles. The rule',
    '  `no-forgotten-commit` below refuses it. (`no-floating-promises` looks for promises, and there is none.)',
    '- At run time the client remembers with its stack each builder that was not committed yet, and warns when',
    '  it is garbage, when the client is closed, or when the process exits: `KVORUM_FORGOTTEN_COMMIT` on stderr',
    '  (`process.emitWarning`), and the event `forgottenCommit`. None of the three is ever said of a builder',
    '  that is committed later. A check at the end of the turn would be: of one that is kept over an `await`.',
    '- In production (`NODE_ENV=production`) it is not remembered, for the stack costs microseconds;',
    '  `developmentChecks` of `new Etcd` switches it.',
    '',
    '## The rules',
    '',
    'The package has a plugin for ESLint 9 and later, without dependencies; oxlint loads it, too (`jsPlugins`).',
    'The rules need no types, so they work for JavaScript, and with any parser of TypeScript.',
    '',
    '```js',
    '// eslint.config.js',
    "import { recommended } from 'kvorum/client/eslint';",
    'export default [recommended];',
    '```',
    '',
    '| rule | refuses |',
    '|---|---|',
    '| `kvorum/no-forgotten-commit` | a transaction that is built and never sent |',
    '| `kvorum/no-floating-call` | a call of the store that nobody waits for. With types, `no-floating-promises` sees more |',
    '| `kvorum/no-ignored-result` | a change that happens only if a condition holds, and nobody looks whether it did |',
    '| `kvorum/no-unfenced-write` | a write beside a lock or a leadership that does not ask whether it is still held |',
    '',
    'What is a view is told by how it was made (`client.kv`, `.namespace()`, `.as()`, `.typed()`) and by its name (`kv`,',
    '`userKv`); what is owned, by `await lock.acquire(session)` and its like in the same scope or around it.',
    '',
    '## Refused by the compiler',
    '',
    'With `strict`, whatever else is set.',
    '',
    ...table(compilerMistakes, ({ error }) => error),
    '',
    '## Refused at the call',
    '',
    'Also from JavaScript, before anything is sent: `INVALID_OPTION`, or `ENCODE_FAILED` for values. Calls that return',
    'promises reject; constructors, conditions and operations throw.',
    '',
    ...table(callMistakes, ({ message }) => cell(message)),
    '',
    '## Refused by a rule',
    '',
    ...table(lintMistakes, ({ rule }) => `\`${rule}\``),
    '',
  ].join('\n');
}

function table<M extends Mistake>(mistakes: readonly M[], by: (mistake: M) => string): string[] {
  const rows = mistakes.map((mistake) => {
    const code = mistake.code.split('\n').map((line) => `\`${cell(line)}\``);
    return `| ${mistake.title} | ${code.join('<br>')} | ${by(mistake)} |`;
  });
  return ['| mistake | code | refused with |', '|---|---|---|', ...rows];
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
