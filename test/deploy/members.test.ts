/**
 * Three processes with exactly the variables that the manifests give their members, names of hosts
 * replaced: they form a cluster by themselves, and their probes answer.
 */

import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { chartManifests, chartVariants } from '../../scripts/lint-files.mjs';
import { endProgramsAfterEach, Program, temporaryDirectory } from '../e2e/program.js';
import { exec } from '../helpers/exec.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { freePort } from '../helpers/server.js';
import { describeWith, itWith, repoRoot, toolPath } from '../helpers/tools.js';
import {
  deployed,
  documents,
  onThisMachine,
  type Variables,
  variablesOfPods,
  variablesOfServices,
} from './pods.js';

endProgramsAfterEach();
const timeout = 180_000;

/** Starts the members together, as all of them do. */
async function startAll(members: readonly Variables[]): Promise<readonly Program[]> {
  const ports = new Map<string, number>();
  for (const [i] of members.entries()) {
    for (const port of [2379, 2380, 2381]) ports.set(`${i}:${port}`, await freePort());
  }
  const dir = temporaryDirectory();
  const here = onThisMachine(
    members,
    (member, port) => ports.get(`${member}:${port}`) ?? 0,
    (member) => join(dir, String(member)),
  );
  const programs = here.map((env) => new Program([], { env, cwd: dir }));
  await Promise.all(programs.map((program) => program.line('ready to serve client requests')));
  await expectCluster(programs, here);
  return programs;
}

async function expectCluster(programs: readonly Program[], here: readonly Variables[]) {
  const [first, last] = [programs.at(0), programs.at(-1)];
  const writer = new RawClient(first?.endpoint() ?? '');
  await writer.put({ key: bytes('a'), value: bytes('from the first') });
  writer.close();
  const reader = new RawClient(last?.endpoint() ?? '');
  expect((await reader.range({ key: bytes('a') })).kvs[0]?.value.toString()).toBe('from the first');
  reader.close();
  for (const [i, env] of here.entries()) {
    for (const path of ['livez', 'readyz', 'metrics']) {
      const answer = await fetch(`${env.ETCD_LISTEN_METRICS_URLS}/${path}`);
      expect(answer.status, `${path} of member ${i}`).toBe(200);
    }
    const warned = programs[i]?.log.filter(({ msg }) => /variable|ignored/.test(String(msg)));
    expect(warned, 'no setting is unknown, or without effect').toEqual([]);
  }
}

const kubernetes = () => {
  return ['services.yaml', 'statefulset.yaml', 'poddisruptionbudget.yaml', 'servicemonitor.yaml']
    .map((name) => deployed(`kubernetes/${name}`))
    .join('');
};

describeWith(['kvorum'], 'the members of', () => {
  it('the StatefulSet form a cluster', { timeout }, async () => {
    const members = variablesOfPods(kubernetes());
    expect(members).toHaveLength(3);
    await startAll(members);
  });

  it('the compose file form a cluster', { timeout }, async () => {
    const members = variablesOfServices(deployed('docker/compose.yaml'));
    expect(members).toHaveLength(3);
    await startAll(members);
  });

  itWith(['helm'], 'the Helm chart form a cluster', { timeout }, async () => {
    await startAll(variablesOfPods(chartManifests(repoRoot, toolPath('helm'), [])));
  });
});

describeWith(['kvorum'], 'the health check of the image', () => {
  const script = join(repoRoot, 'deploy/docker/healthcheck.mjs');

  it('asks where the flags or the variables of the server say', { timeout }, async () => {
    const [client, metrics] = [await freePort(), await freePort()];
    const flags = ['--listen-client-urls', `http://0.0.0.0:${client}`];
    const advertised = [`--advertise-client-urls=http://127.0.0.1:${client}`];
    const env = { ETCD_LISTEN_METRICS_URLS: `http://127.0.0.1:${metrics}` };
    const peers = ['--listen-peer-urls', 'http://127.0.0.1:0'];
    const args = [...flags, ...advertised, ...peers];
    const server = new Program(args, { env, cwd: temporaryDirectory() });
    await server.line('ready to serve client requests');
    const check = (variables: Variables) => {
      return exec(process.execPath, [script, String(server.pid)], { env: variables });
    };
    expect(await check({})).toMatchObject({ code: 0 });
    expect(await check(env)).toMatchObject({ code: 0 });
    const url = `http://127.0.0.1:${await freePort()}`;
    const wrong = await check({ ETCD_LISTEN_METRICS_URLS: url });
    expect(wrong.code).toBe(1);
    expect(wrong.stdout.toString()).toContain(`${url}/: connect ECONNREFUSED`);
  });
});

interface Selecting {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly labels: Variables };
  readonly spec: {
    readonly serviceName?: string;
    readonly selector: Variables & { readonly matchLabels?: Variables };
    readonly template?: { readonly metadata: { readonly labels: Variables } };
    readonly ports?: ReadonlyArray<{ readonly name: string }>;
    readonly endpoints?: ReadonlyArray<{ readonly port: string }>;
  };
}

/** What has to agree between the objects, which no schema knows. */
function expectAgreement(manifests: string): void {
  const all = documents<Selecting>(manifests);
  const of = (kind: string) => all.filter((each) => each.kind === kind);
  const [set] = of('StatefulSet');
  const labels = set?.spec.template?.metadata.labels ?? {};
  expect(of('Service').map(({ metadata }) => metadata.name)).toContain(set?.spec.serviceName);
  for (const each of of('Service')) expect(labels).toMatchObject(each.spec.selector);
  for (const each of [...of('PodDisruptionBudget'), ...of('StatefulSet')]) {
    expect(labels).toMatchObject(each.spec.selector.matchLabels ?? { none: '' });
  }
  const [monitor] = of('ServiceMonitor');
  const watched = of('Service').filter(({ metadata }) => {
    const wanted = Object.entries(monitor?.spec.selector.matchLabels ?? {});
    return wanted.every(([name, value]) => metadata.labels[name] === value);
  });
  expect(watched, 'one Service: each member is scraped once').toHaveLength(1);
  expect(watched[0]?.spec.ports?.map(({ name }) => name)).toContain(
    monitor?.spec.endpoints?.[0]?.port,
  );
}

describe('selectors and names agree', () => {
  it('in deploy/kubernetes', () => expectAgreement(kubernetes()));

  itWith(['helm'], 'in the Helm chart', {}, async () => {
    const values = chartVariants['with everything'] ?? [];
    expectAgreement(chartManifests(repoRoot, toolPath('helm'), values));
  });
});
