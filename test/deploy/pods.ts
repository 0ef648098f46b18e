/** What the files of deploy/ say of the members of a cluster: the variables that each is run with. */

import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, parseAllDocuments } from 'yaml';
import { repoRoot } from '../helpers/tools.js';

export type Variables = Readonly<Record<string, string>>;

interface StatefulSet {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly spec: {
    readonly replicas: number;
    readonly serviceName: string;
    readonly template: {
      readonly spec: {
        readonly containers: readonly [
          {
            readonly env: ReadonlyArray<{
              readonly name: string;
              readonly value?: string;
              readonly valueFrom?: { readonly fieldRef: { readonly fieldPath: string } };
            }>;
          },
        ];
      };
    };
  };
}

/** A file of deploy/. */
export function deployed(path: string): string {
  return readFileSync(join(repoRoot, 'deploy', path), 'utf8');
}

/** The documents of a text in YAML. */
export function documents<T = { readonly kind: string }>(text: string): T[] {
  return parseAllDocuments(text)
    .map((each) => each.toJS() as T | null)
    .filter((each) => each !== null);
}

/** The variables of each pod, as Kubernetes makes them. */
export function variablesOfPods(manifests: string, namespace = 'ns'): Variables[] {
  const set = documents<StatefulSet>(manifests).find(({ kind }) => kind === 'StatefulSet');
  if (set === undefined) throw new Error('there is no StatefulSet');
  return Array.from({ length: set.spec.replicas }, (_none, i) => {
    const pod: Record<string, string> = {
      'metadata.name': `${set.metadata.name}-${i}`,
      'metadata.namespace': namespace,
    };
    const variables: Record<string, string> = {};
    for (const { name, value, valueFrom } of set.spec.template.spec.containers[0].env) {
      const given = value ?? pod[valueFrom?.fieldRef.fieldPath ?? ''] ?? '';
      // Only those that stand before it are known.
      variables[name] = given.replace(/\$\((\w+)\)/g, (all, known) => variables[known] ?? all);
    }
    return variables;
  });
}

/** The variables of each service of a compose file. */
export function variablesOfServices(compose: string): Variables[] {
  const { services } = parse(compose, { merge: true }) as {
    services: Readonly<Record<string, { readonly environment: Variables }>>;
  };
  return Object.values(services).map(({ environment }) => environment);
}

/**
 * The same members on this machine: `portOf` gives for a member and a port of its own a free one.
 * Names of hosts become addresses; all else stays.
 */
export function onThisMachine(
  members: readonly Variables[],
  portOf: (member: number, port: number) => number,
  dataDirOf: (member: number) => string,
): Variables[] {
  const hosts = members.map((member) => new URL(member.ETCD_INITIAL_ADVERTISE_PEER_URLS ?? ''));
  return members.map((variables, i) => {
    const here = Object.entries(variables).map(([name, value]) => {
      if (name === 'ETCD_DATA_DIR') return [name, dataDirOf(i)];
      const moved = value.replace(/(https?:\/\/)([\w.-]+):(\d+)/g, (_all, scheme, host, port) => {
        const owner = host === '0.0.0.0' ? i : hosts.findIndex(({ hostname }) => hostname === host);
        if (owner < 0) throw new Error(`${name}: ${host} is no member`);
        return `${scheme}127.0.0.1:${portOf(owner, Number(port))}`;
      });
      return [name, moved];
    });
    return Object.fromEntries(here) as Variables;
  });
}
