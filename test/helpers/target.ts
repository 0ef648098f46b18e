/**
 * What the interop and conformance tests are run against: kvorum, or, with
 * KVORUM_TEST_TARGET=etcd, the etcd of this machine. The second way tests the tests.
 *
 * KVORUM_TEST_ETCD names another etcd program than the one on the path, so that the tests can also
 * be checked against a newer etcd.
 *
 * Debian's etcd is 3.4; kvorum follows 3.7. Where the two differ on purpose, a test asks
 * `targetMinor` and says why.
 */

import { spawnSync } from 'node:child_process';
import type { ServerKind } from './server.js';
import type { Tool } from './tools.js';

/** The server under test in this run. */
export const targetKind: ServerKind = process.env.KVORUM_TEST_TARGET === 'etcd' ? 'etcd' : 'kvorum';

/** The tool that `describeWith` must find for the target. */
export const targetTool: Tool = targetKind;

/** The etcd program that stands for the target. */
export const targetEtcdProgram: string = process.env.KVORUM_TEST_ETCD ?? 'etcd';

/** The minor version of etcd 3 whose behaviour the target shows: 7 for kvorum. */
export const targetMinor: number = targetKind === 'etcd' ? targetEtcdMinor() : 7;

/** Minor version of the etcd that stands for the target (4 for 3.4.23), or 0 if there is none. */
function targetEtcdMinor(): number {
  const run = spawnSync(targetEtcdProgram, ['--version'], { encoding: 'utf8', timeout: 20_000 });
  const match = /etcd Version: 3\.(\d+)\./.exec(run.stdout ?? '');
  return match === null ? 0 : Number(match[1]);
}
