/** Election.Observe: who leads now, each of its proclamations, then who leads next, without end. */

import { type KeyString, observeEventsPerTurnMax, turn } from '../../common/index.js';
import { EventType, type KeyValue, leaderRequest, leaderResponse } from '../../proto/index.js';
import type { MethodHandler, ServerCall } from '../../transport/index.js';
import type { Host } from '../feature/index.js';
import { drained, headerAt, requireLeader } from '../rpc/index.js';
import { ownerOf, prefixEnd } from './candidate.js';
import { InnerWatch } from './inner-watch.js';
import type { RecipeCalls } from './recipe-calls.js';
import type { RunningCalls } from './running-calls.js';

export function observeMethod(host: Host, running: RunningCalls): readonly [string, MethodHandler] {
  return running.method(
    '/v3electionpb.Election/Observe',
    async (bytes, call, calls) => {
      const { name } = leaderRequest.decode(bytes);
      const release = requireLeader(host.leadership, call, () => call.onCancel?.());
      if (release === undefined) return;
      try {
        await new Observer(host, call, calls, name).run();
      } finally {
        release();
      }
    },
    'serverStream',
  );
}

/** What comes next of a leader. */
type Change = 'gone' | 'unknown';

class Observer {
  readonly #host: Host;
  readonly #call: ServerCall;
  readonly #calls: RecipeCalls;
  readonly #name: KeyString;
  /** Of what was told last. */
  #toldRevision = 0;
  #toldInTurn = 0;

  constructor(host: Host, call: ServerCall, calls: RecipeCalls, name: KeyString) {
    this.#host = host;
    this.#call = call;
    this.#calls = calls;
    this.#name = name;
  }

  /** Rejects when the call has to end. */
  async run(): Promise<never> {
    for (;;) {
      const { header, kvs } = await this.#calls.range(ownerOf(this.#name));
      const revision = header?.revision ?? 0;
      const [leader] = kvs;
      if (leader === undefined) await this.#untilElected(revision);
      else {
        // What was compacted away while looking may have been told before.
        if (leader.modRevision > this.#toldRevision) await this.#tell(leader, revision);
        await this.#follow(leader.key, revision + 1);
      }
    }
  }

  /** There is nobody: whoever comes first leads. */
  async #untilElected(revision: number): Promise<void> {
    const prefix = `${this.#name}/`;
    const watch = new InnerWatch(this.#calls, {
      key: prefix,
      rangeEnd: prefixEnd(prefix),
      startRevision: revision + 1,
      filters: [1], // no deletions
    });
    let leader: KeyValue | undefined;
    try {
      leader = (await watch.next())?.events[0]?.kv;
    } finally {
      watch.close();
    }
    if (leader === undefined) return;
    await this.#tell(leader, leader.modRevision);
    await this.#follow(leader.key, leader.modRevision + 1);
  }

  /** All that the leader with this key says, until it is gone or the history has a gap. */
  async #follow(key: KeyString, fromRevision: number): Promise<Change> {
    const watch = new InnerWatch(this.#calls, { key, startRevision: fromRevision });
    try {
      for (;;) {
        const response = await watch.next();
        if (response === undefined) return 'unknown';
        for (const { kv, type } of response.events) {
          if (type === EventType.DELETE) return 'gone';
          if (kv !== undefined) await this.#tell(kv, response.header?.revision ?? 0);
        }
      }
    } finally {
      watch.close();
    }
  }

  async #tell(kv: KeyValue, revision: number): Promise<void> {
    this.#calls.signal.throwIfAborted();
    this.#toldRevision = kv.modRevision;
    const message = leaderResponse.encode({ kv }, headerAt(this.#host, revision));
    if (!this.#call.send(message)) await this.#room();
    this.#toldInTurn += 1;
    if (this.#toldInTurn < observeEventsPerTurnMax) return;
    this.#toldInTurn = 0;
    await turn(this.#host.clock);
  }

  /** Until the client has read, or gone. */
  async #room(): Promise<void> {
    const { onCancel } = this.#call;
    await drained(this.#call);
    this.#call.onCancel = onCancel;
    if (this.#call.cancelled) onCancel?.();
  }
}
