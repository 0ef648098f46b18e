/**
 * Wrong code, and what refuses it. mistakes.test.ts runs all of it, and docs/client/mistakes.md is
 * written from it.
 *
 * The snippets see what people import from the client, and `client`, `kv` (a view of text),
 * `session` and `userInput` (undefined).
 */

export interface Mistake {
  readonly title: string;
  readonly code: string;
}

/** Refused by the TypeScript compiler with one of these codes; nothing else is wrong with it. */
export interface CompilerMistake extends Mistake {
  readonly error: `TS${number}`;
}

/** Refused at run time, before anything is sent, with this text in the message. */
export interface CallMistake extends Mistake {
  readonly message: string;
}

/** Refused by a rule of the ESLint plugin that the package has. */
export interface LintMistake extends Mistake {
  readonly rule: string;
}

export const compilerMistakes: readonly CompilerMistake[] = [
  {
    title: 'a forgotten commit, awaited',
    code: "await kv.txn().if(kv.when('a').missing()).then(kv.ops.put('a', '1'));",
    error: 'TS1320',
  },
  {
    title: 'a forgotten commit, returned',
    code: "export const save = async () => kv.txn().then(kv.ops.put('a', '1'));",
    error: 'TS1058',
  },
  {
    title: 'a call that was made, as an operation',
    code: "await kv.txn().then(kv.put('a', '1')).commit();",
    error: 'TS2739',
  },
  {
    title: 'an option of another client',
    code: "new Etcd({ hosts: 'https://etcd:2379' });",
    error: 'TS2353',
  },
  {
    title: 'a setting that may be missing',
    code: 'new Etcd(userInput);',
    error: 'TS2345',
  },
  {
    title: 'a value of another kind',
    code: "await kv.put('a', 1);",
    error: 'TS2345',
  },
  {
    title: 'the id of a lease as a number',
    code: "await kv.put('a', '1', { lease: 7 });",
    error: 'TS2322',
  },
  {
    title: 'a lease that is attached and kept',
    code: "await kv.put('a', '1', { lease: 7n, keepLease: true });",
    error: 'TS2322',
  },
  {
    title: 'a range that says two things',
    code: "await kv.range({ key: 'a', prefix: 'b' });",
    error: 'TS2345',
  },
  {
    title: 'a key as a range',
    code: "await kv.deleteRange('a/');",
    error: 'TS2345',
  },
  {
    title: 'a relation that is none',
    code: "kv.when('a').version('==', 1);",
    error: 'TS2345',
  },
  {
    title: 'a replacement of whatever is there',
    code: "await kv.replace('a', '1', {});",
    error: 'TS2345',
  },
  {
    title: 'an entry that may be missing',
    code: "(await kv.get('a')).value;",
    error: 'TS2532',
  },
  {
    title: 'what was there before, not asked for',
    code: "(await kv.put('a', '1')).prev;",
    error: 'TS2339',
  },
  {
    title: 'a deadline of a watch',
    code: 'kv.watch({ all: true }, { timeoutMs: 1000 });',
    error: 'TS2353',
  },
  {
    title: 'a campaign without a session',
    code: "await election(kv, 'leader').campaign('me');",
    error: 'TS2554',
  },
];

export const callMistakes: readonly CallMistake[] = [
  {
    title: 'an option of another client',
    code: "new Etcd({ hosts: 'https://etcd:2379' });",
    message: 'unknown option "hosts"; did you mean "endpoints"?',
  },
  {
    title: 'a setting that is missing',
    code: 'new Etcd({ endpoints: userInput });',
    message: 'endpoints is undefined; leave it out for the default',
  },
  {
    title: 'the same, alone',
    code: 'new Etcd(userInput);',
    message: 'endpoints or options are undefined',
  },
  {
    title: 'a path for PEM',
    code: "new Etcd({ tls: { ca: '/etc/etcd/ca.pem' } });",
    message: 'tls.ca is the PEM itself, and this is a path: give readFileSync("/etc/etcd/ca.pem")',
  },
  {
    title: 'a certificate without its key',
    code: 'new Etcd({ tls: { cert: certificate } });',
    message: 'tls.cert is given without tls.key',
  },
  {
    title: 'certificate and key exchanged',
    code: 'new Etcd({ tls: { cert: privateKey, key: certificate } });',
    message: 'are cert and key exchanged?',
  },
  {
    title: 'a transport that is none',
    code: "new Etcd({ transport: 'grpc' });",
    message: "transport must be 'native' or 'grpc-js' (did you mean 'grpc-js'?)",
  },
  {
    title: 'credentials of another client',
    code: "new Etcd({ credentials: { username: 'root', password: 'secret' } });",
    message: 'unknown option "username"; did you mean "user"?',
  },
  {
    title: 'a time without its unit',
    code: "await kv.get('a', { timeout: 500 });",
    message: 'unknown option "timeout"; did you mean "timeoutMs"?',
  },
  {
    title: 'a controller for its signal',
    code: "await kv.get('a', { signal: new AbortController() });",
    message: 'signal must be the signal of the controller',
  },
  {
    title: 'no key',
    code: "await kv.put(userInput, '1');",
    message: 'a key is text or bytes, not undefined',
  },
  {
    title: 'no value',
    code: "await kv.put('a');",
    message: 'a value of this view is text, not undefined',
  },
  {
    title: 'a promise for a value',
    code: "await client.kv.as(json()).put('a', Promise.resolve(1));",
    message: 'a promise (was an await forgotten?)',
  },
  {
    title: 'no range',
    code: 'await kv.deleteRange(userInput);',
    message:
      'a range is { key }, { prefix }, { from, to }, { from } or { all: true }, not undefined',
  },
  {
    title: 'a range of nothing that is known',
    code: 'await kv.deleteRange({ prefix: userInput });',
    message: 'a range needs one of key, prefix, from, or all; prefix is undefined',
  },
  {
    title: 'a prefix that is empty, for a deletion',
    code: "await kv.deleteRange({ prefix: userInput ?? '' });",
    message: 'an empty prefix would delete all keys: if that is meant, say { all: true }',
  },
  {
    title: 'a range with a slip of the keys',
    code: "await kv.deleteRange({ prefx: 'a/' });",
    message: 'it has no "prefx"; did you mean "prefix"?',
  },
  {
    title: 'half an entry',
    code: 'await kv.range({ all: true }, { limit: 0.5 });',
    message: 'limit must be a whole number of at least 1, not 0.5',
  },
  {
    title: 'an order of another client',
    code: "await kv.range({ all: true }, { sort: { by: 'key', order: 'desc' } });",
    message: "order must be 'ascending' or 'descending' (did you mean 'descending'?)",
  },
  {
    title: 'a compare with a fraction',
    code: "kv.when('a').version('=', 1.5);",
    message: 'a condition on version needs a whole number of at least 0, not 1.5',
  },
  {
    title: 'a compare as in JavaScript',
    code: "kv.when('a').version('===', 1);",
    message: "(did you mean '='?)",
  },
  {
    title: 'a call that was made, as an operation',
    code: "const put = kv.put('a', '1'); put.catch(() => {}); kv.txn().then(put);",
    message: 'kv.put(...) is a call that has been made already',
  },
  {
    title: 'a forgotten commit, awaited',
    code: "await kv.txn().then(kv.ops.put('a', '1'));",
    message: '.commit() is missing',
  },
  {
    title: 'a lease by another name',
    code: "await kv.put('a', '1', { leaseId: 7n });",
    message: 'unknown option "leaseId"; did you mean "lease"?',
  },
  {
    title: 'a handle for an id',
    code: 'await client.leases.revoke({ id: 7n });',
    message: 'the id of a lease is a bigint, like 7n, not an object; give its `id`',
  },
  {
    title: 'a kind of event that is none',
    code: "kv.watch({ prefix: 'a' }, { only: 'puts' });",
    message: "only must be 'put' or 'delete' (did you mean 'put'?)",
  },
  {
    title: 'a change that is asynchronous',
    code: "kv.as(json()); await notSentYet.modify('a', async () => 1);",
    message: 'modify: the function must give the value itself, not a promise',
  },
  {
    title: 'a lock without a session',
    code: "await mutex(kv, 'lock').acquire(client);",
    message: 'acquire takes a session, from openSession(client), not an object',
  },
  {
    title: 'a client before the view',
    code: "election(client, kv, 'leader');",
    message: 'election(kv, name): kv must be a view of the store',
  },
];

export const lintMistakes: readonly LintMistake[] = [
  {
    title: 'a forgotten commit',
    code: "kv.txn().if(kv.when('a').missing()).then(kv.ops.put('a', '1'));",
    rule: 'no-forgotten-commit',
  },
  {
    title: 'a forgotten commit of something kept',
    code: "const txn = client.kv.txn().then(client.kv.ops.put('a', '1'));",
    rule: 'no-forgotten-commit',
  },
  {
    title: 'a floating create',
    code: "kv.create('a', '1');",
    rule: 'no-floating-call',
  },
  {
    title: 'a create whose result nobody looks at',
    code: "await kv.create('a', '1');",
    rule: 'no-ignored-result',
  },
  {
    title: 'a conditional transaction whose result nobody looks at',
    code: "await kv.txn().if(kv.when('a').missing()).then(kv.ops.put('a', '1')).commit();",
    rule: 'no-ignored-result',
  },
  {
    title: 'an unfenced write where a fence is at hand',
    code: "const held = await mutex(kv, 'lock').acquire(session);\nawait kv.put('report', 'written');",
    rule: 'no-unfenced-write',
  },
  {
    title: 'an unfenced transaction where a fence is at hand',
    code: "const term = await election(kv, 'leader').campaign(session, 'me');\nconst { ok } = await kv.txn().then(kv.ops.put('a', '1')).commit();",
    rule: 'no-unfenced-write',
  },
];

/** Code that is right, and looks like what the rules refuse. */
export const rightCode: readonly Mistake[] = [
  {
    title: 'the right ways',
    code: [
      "const { ok } = await kv.create('a', '1');",
      "if (!ok) await kv.put('a', '2');",
      "void kv.delete('b');",
      "const txn = kv.txn().then(kv.ops.put('a', '1'));",
      'await txn.commit();',
      "kv.get('a').then(console.log, console.error);",
      "const cache = new Map(); cache.delete('a');",
    ].join('\n'),
  },
  {
    title: 'fenced writes',
    code: [
      "const held = await mutex(kv, 'lock').acquire(session);",
      "await held.txn().then(kv.ops.put('a', '1')).commit();",
      "const done = await kv.txn().if(held.guard).then(kv.ops.put('a', '1')).commit();",
      "await kv.stm((tx) => tx.put('a', '1'), { guards: [held.guard] });",
      'if (!done.ok) throw held.signal.reason;',
    ].join('\n'),
  },
];
