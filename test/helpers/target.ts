/**
 * What the interop and conformance tests are run against: kvorum, or, with
 * KVORUM_TEST_TARGET=etcd, the newest etcd of this machine (or the one that KVORUM_TEST_ETCD
 * names). The second way tests the tests.
 *
 * kvorum follows etcd 3.7. Where an older one differs, a test asks `targetMinor` and says why.
 */

import { spawnSync } from 'node:child_process';
import { have, type Tool, toolPath } from './tools.js';

/** Which program a server process runs. */
export type ServerKind = 'etcd' | 'kvorum';

/** The server under test in this run. */
export const targetKind: ServerKind = process.env.KVORUM_TEST_TARGET === 'etcd' ? 'etcd' : 'kvorum';

/** The tool that `describeWith` must find for the target. */
export const targetTool: Tool = targetKind;

/** The minor version of etcd 3 whose behaviour the target shows: 7 for kvorum. */
export const targetMinor: number = targetKind === 'etcd' ? etcdMinor() : 7;

/** Minor version of the newest etcd of this machine (4 for 3.4.23), or 0 if there is none. */
export function etcdMinor(): number {
  if (!have('etcd')) return 0;
  const run = spawnSync(toolPath('etcd'), ['--version'], { encoding: 'utf8' });
  const match = /etcd Version: 3\.(\d+)\./.exec(run.stdout);
  if (match === null) throw new Error(`not an etcd: ${run.stdout}${run.stderr}`);
  return Number(match[1]);
}
