/** Small programs that use the packages, as somebody's who has just installed them. */

/** Puts a value into the server named on the command line and prints it. */
export const clientProgram = (from: string): string => `
import { Etcd, isEtcdError, text } from '${from}';

async function main() {
  const client = new Etcd([process.argv[2]]);
  const greetings = client.kv.namespace('/greetings/').as(text);
  await greetings.put('one', 'hello');
  const { id } = await client.leases.grant(60);
  await client.leases.revoke(id);
  await client.cluster.members();
  const refused = await client.auth.user('nobody').catch((error) => error);
  if (!isEtcdError(refused, 'USER_NOT_FOUND')) throw refused;
  console.log((await greetings.get('one'))?.value);
  await client.close();
}
main();
`;

/** Starts a cluster of three and prints what its members know. */
export const serverProgram = (from: string): string => `
import { Etcd, text } from '@kvorum/client';
import { startServer } from 'kvorum';
import { startCluster } from '${from}';

async function main() {
  const cluster = await startCluster({ size: 3 });
  const client = new Etcd(cluster.endpoints);
  await client.kv.as(text).put('one', 'hello');
  const { value } = await client.kv.as(text).get('one');
  console.log(cluster.members.length, value, typeof startServer);
  await client.close();
  await cluster.stop();
}
main();
`;

/** The same program with `require`. */
export function commonJsOf(program: string): string {
  return program.replace(
    /^import \{([^}]*)\} from ('[^']+');$/gm,
    (_all, names: string, from: string) => `const {${names}} = require(${from});`,
  );
}

const body = `async () => {
  const node = await startNode();
  const client = new Etcd(node.endpoint);
  await client.kv.as(text).put('one', 'hello');
  equal((await client.kv.as(text).get('one'))?.value, 'hello');
  await client.close();
  await node.stop();
}`;

const imports = `import { Etcd, text } from '@kvorum/client';
import { startNode } from '@kvorum/testing';
`;

/** A test of `node --test`. */
export const nodeTest = `import { equal } from 'node:assert/strict';
import { test } from 'node:test';
${imports}
test('one', ${body});
`;

/** A test of vitest. */
export const vitestTest = `import { expect, test } from 'vitest';
${imports}
const equal = (a, b) => expect(a).toBe(b);
test('one', ${body});
`;

/** Uses of all packages that a compiler is to judge. */
export const typed = `import { Etcd, isEtcdError, type KeyValue, text } from '@kvorum/client';
import { startNode, type TestNode } from '@kvorum/testing';
import { defaultConfig, type RunningServer } from 'kvorum';
import { Etcd as Same } from 'kvorum/client';
import { startCluster } from 'kvorum/testing';

export async function main(): Promise<string | undefined> {
  const node: TestNode = await startNode();
  const client: Etcd = new Same(node.endpoint);
  const got: KeyValue<string> | undefined = await client.kv.as(text).get('one');
  const error: unknown = got;
  return isEtcdError(error) && error.reason === 'KEY_NOT_FOUND' ? error.message : got?.value;
}
export const config = defaultConfig('--name', 'one');
export type Server = RunningServer;
export const cluster = startCluster;
`;

/** A project that is as strict as can be. */
export function typedProject(resolution: 'nodenext' | 'bundler'): Record<string, string> {
  const compilerOptions = {
    target: 'es2022',
    lib: ['es2022'],
    module: resolution === 'bundler' ? 'esnext' : 'nodenext',
    moduleResolution: resolution,
    strict: true,
    exactOptionalPropertyTypes: true,
    noUncheckedIndexedAccess: true,
    verbatimModuleSyntax: resolution === 'bundler',
    skipLibCheck: false,
    types: [],
    noEmit: true,
  };
  return {
    'tsconfig.json': JSON.stringify({ compilerOptions, include: ['src'] }),
    'src/main.mts': typed,
    // Of a file of CommonJS they are the declarations for `require` that are read.
    ...(resolution === 'nodenext' && { 'src/main.cts': typed }),
  };
}

/**
 * Starts a server with what is loaded only when it is asked for: YAML, hashes of passwords, a
 * certificate of its own, threads for sockets, metrics.
 */
export const lateProgram = (from: string): string => `
import { readFileSync, writeFileSync, openSync } from 'node:fs';
import { Etcd } from '@kvorum/client';
import { buildConfig, createLogger, nodeClock, nodePorts } from '${from}';
import { parseCommandLine, startServer } from '${from}';

async function main() {
  writeFileSync('kvorum.yaml', [
    'data-dir: ./data',
    'listen-client-urls: http://127.0.0.1:0',
    'advertise-client-urls: http://127.0.0.1:0',
    'listen-peer-urls: https://127.0.0.1:0',
    'initial-advertise-peer-urls: https://127.0.0.1:2380',
    'initial-cluster: default=https://127.0.0.1:2380',
    'peer-transport-security: { auto-tls: true }',
  ].join('\\n'));
  const read = (path) => readFileSync(path);
  const { flags } = parseCommandLine(['--config-file=kvorum.yaml', '--io-threads=1'], {}, read);
  const config = buildConfig(flags, read);
  const logger = createLogger({
    level: 'error',
    format: 'json',
    outputs: ['stderr'],
    clock: nodeClock,
    openFile: (path) => openSync(path, 'a'),
  });
  const server = await startServer(config, nodePorts(config, logger));
  const [url] = server.clientUrls;
  const client = new Etcd(url);
  await client.auth.addUser('one', 'secret');
  const metrics = await (await fetch(url + '/metrics')).text();
  console.log(await client.auth.users(), /^kvorum_build_info/m.test(metrics));
  await client.close();
  await server.stop();
}
main();
`;
