/**
 * A cluster that grows and shrinks by `kvorum join` and `kvorum member replace`, and a load on it
 * that remembers what was acknowledged.
 */

import { join } from 'node:path';
import { expect } from 'vitest';
import { Etcd } from '../../src/client/index.js';
import { idToHex } from '../../src/common/index.js';
import { eventually } from '../helpers/eventually.js';
import { freePort } from '../helpers/server.js';
import { type Program, run } from './program.js';

/** Short elections, so that a killed leader costs little. */
const timing = ['--heartbeat-interval=50', '--election-timeout=500'];
const serving = /ready to serve client requests/;

/** A machine with its ports and its directory; at most one server runs on it. */
export interface Machine {
  readonly name: string;
  readonly clientUrl: string;
  readonly peerUrl: string;
  readonly flags: readonly string[];
  program: Program | undefined;
}

export class Fleet {
  readonly machines: Machine[] = [];
  readonly #dir: string;

  constructor(dir: string) {
    this.#dir = dir;
  }

  async machine(name: string): Promise<Machine> {
    const clientUrl = `http://127.0.0.1:${await freePort()}`;
    const peerUrl = `http://127.0.0.1:${await freePort()}`;
    const machine: Machine = {
      ...{ name, clientUrl, peerUrl, program: undefined },
      flags: [
        ...['--name', name, '--data-dir', join(this.#dir, name), '--warm-up=false', ...timing],
        ...['--listen-client-urls', clientUrl, '--advertise-client-urls', clientUrl],
        ...['--listen-peer-urls', peerUrl, '--initial-advertise-peer-urls', peerUrl],
      ],
    };
    this.machines.push(machine);
    return machine;
  }

  /** Client URLs of the servers that run. */
  get urls(): string[] {
    return this.machines.flatMap(({ clientUrl, program }) => {
      return program === undefined ? [] : [clientUrl];
    });
  }

  async found(machine: Machine): Promise<void> {
    const cluster = `${machine.name}=${machine.peerUrl}`;
    machine.program = run([...machine.flags, '--initial-cluster', cluster]);
    await machine.program.logged(serving);
  }

  /** `kvorum join`, by any member that runs; does not wait. */
  join(machine: Machine, ...more: readonly string[]): Program {
    const line = ['join', this.urls.join(), ...machine.flags, ...more];
    machine.program = run(line);
    return machine.program;
  }

  /** Joins; after each of the `kills` it is killed, and the same line is run again. */
  async joinThrough(machine: Machine, kills: readonly RegExp[]): Promise<void> {
    const via = this.urls.join();
    const start = () => {
      machine.program = run(['join', via, ...machine.flags]);
      return machine.program;
    };
    for (const moment of kills) {
      const program = start();
      // What an earlier run has done does not happen once more: one that votes has nothing to say.
      const isOver = /added/.test(moment.source)
        ? program.logged(serving)
        : this.untilVoter(machine);
      await Promise.race([program.logged(moment), isOver]);
      await program.kill();
    }
    await start().logged(serving);
    await this.untilVoter(machine);
  }

  async kill(machine: Machine): Promise<void> {
    await machine.program?.kill();
    machine.program = undefined;
  }

  /** The line of an ordinary start, on the data that there is. */
  async restart(machine: Machine): Promise<void> {
    machine.program = run(machine.flags);
    await machine.program.logged(serving);
  }

  async untilVoter({ name }: Machine): Promise<void> {
    await this.withClient((etcd) =>
      eventually(async () => {
        const members = await etcd.cluster.members();
        const own = members.find((member) => member.name === name);
        return own?.isLearner === false || undefined;
      }, `${name} votes`),
    );
  }

  async withClient<T>(use: (etcd: Etcd) => Promise<T>): Promise<T> {
    const etcd = new Etcd({ endpoints: this.urls });
    try {
      return await use(etcd);
    } finally {
      await etcd.close();
    }
  }

  async idOf({ name }: Machine): Promise<string> {
    return this.withClient((etcd) =>
      eventually(async () => {
        const members = await etcd.cluster.members();
        const own = members.find((member) => member.name === name);
        return own === undefined ? undefined : idToHex(own.id);
      }, `the id of ${name}`),
    );
  }

  /** The one that leads. */
  async leader(): Promise<Machine> {
    return this.withClient((etcd) =>
      eventually(async () => {
        const { leader } = await etcd.maintenance.status();
        const members = await etcd.cluster.members();
        const name = members.find(({ id }) => id === leader)?.name;
        return this.machines.find((machine) => machine.name === name && machine.program);
      }, 'a leader'),
    );
  }

  async remove(machine: Machine): Promise<void> {
    const id = BigInt(`0x${await this.idOf(machine)}`);
    await this.withClient((etcd) =>
      eventually(async () => {
        const members = await etcd.cluster.members();
        if (!members.some((member) => member.id === id)) return true;
        await etcd.cluster.remove(id);
        return true;
      }, `${machine.name} is removed`),
    );
    await this.kill(machine);
  }

  /** Runs `kvorum member replace`. */
  replace(old: string, fresh: Machine, ...more: readonly string[]): Program {
    const endpoints = ['--endpoints', this.urls.join()];
    const urls = ['--peer-urls', fresh.peerUrl];
    return run(['member', 'replace', old, ...urls, ...endpoints, '--yes', ...more]);
  }

  /** All members have the same, and in it all that was acknowledged. */
  async check(load: Load): Promise<void> {
    const running = this.machines.filter(({ program }) => program !== undefined);
    const hashes = new Set<string>();
    let revision: number | undefined;
    for (const { clientUrl, name } of running) {
      const etcd = new Etcd({ endpoints: [clientUrl] });
      try {
        const got = new Map<string, string>();
        const lost: string[] = [];
        for await (const { key, value } of etcd.kv.scan({ prefix: 'w' })) {
          got.set(key.toString(), value.toString());
        }
        for (const [key, value] of load.acknowledged) if (got.get(key) !== value) lost.push(key);
        expect(lost, `lost by ${name}`).toEqual([]);
        revision ??= (await etcd.maintenance.status()).header.revision;
        const { hash, compactRevision } = await etcd.maintenance.hashKv({ revision });
        hashes.add(`${hash} ${compactRevision}`);
      } finally {
        await etcd.close();
      }
    }
    expect([...hashes], 'hashes of the members').toHaveLength(1);
  }
}

/** Writers, each of which puts one key after the other and remembers what was acknowledged. */
export class Load {
  readonly acknowledged = new Map<string, string>();
  readonly #ended: Promise<void>[];
  #stops = false;

  constructor(fleet: Fleet, writers: number) {
    this.#ended = Array.from({ length: writers }, (_, i) => this.#write(fleet, i));
  }

  /** Resolves when `count` more writes have been acknowledged. */
  async goesOn(count: number): Promise<void> {
    const from = this.acknowledged.size;
    await eventually(() => this.acknowledged.size >= from + count || undefined, 'writes go on');
  }

  async stop(): Promise<void> {
    this.#stops = true;
    await Promise.all(this.#ended);
  }

  async #write(fleet: Fleet, writer: number): Promise<void> {
    let last = 0;
    for (let n = 0; !this.#stops; ) {
      // The members change: a client of those that run now.
      const etcd = new Etcd({ endpoints: fleet.urls, timeoutMs: 2_000 });
      try {
        const until = n + 200;
        while (n < until && !this.#stops) {
          const key = `w${writer}/${n}`;
          const { revision } = await etcd.kv.put(key, `${key} of ${writer}`);
          expect(revision, `the revision of ${key}`).toBeGreaterThan(last);
          last = revision;
          this.acknowledged.set(key, `${key} of ${writer}`);
          n += 1;
        }
      } catch (error) {
        // Not acknowledged: it is put once more.
        if (!(error instanceof Error) || error.name === 'AssertionError') throw error;
      } finally {
        await etcd.close();
      }
    }
  }
}
