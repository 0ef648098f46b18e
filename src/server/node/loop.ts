/**
 * The one loop that drives Raft: takes what gathered since it last ran (proposals, reads, messages,
 * ticks), and does the four duties of raft/types.ts in order: send, persist, send what waited for
 * the disk, apply. It runs once a turn of the event loop, after all sockets have been read, so that
 * everything that came in together shares one log write; while that write runs, the next gathers.
 *
 * Steps 4 to 9 of the data path (docs/data-path.md).
 */

import {
  assert,
  commitApplyGapMax,
  type ErrorReason,
  type LogIndex,
  settle,
  sleep,
  sliceMsMax,
  type Term,
} from '../../common/index.js';
import type {
  ConfigChangeRefusal,
  ConfigChangeStep,
  Entry,
  InstallSnapshot,
  Message,
  Ready,
  SnapshotMeta,
} from '../../raft/index.js';
import type { ReadWaiter, Responder } from '../feature/index.js';
import type { NodeLoopOptions } from './loop-options.js';
import type { Pending } from './proposals.js';

/** The clock is looked at after so many entries, a power of two less one. */
const applyLookMask = 15;
/** What an entry costs in memory beside its data, roughly. */
const entryOverheadBytes = 100;

/** So many entries are applied before messages that came with them leave. */
const heldApplyMax = 8;

/** A Ready on its way to the log. */
interface LogWrite {
  readonly ready: Ready;
  durable: boolean;
}

/** A change of the members that waits to be proposed. */
interface PendingChange {
  readonly pending: Pending;
  readonly steps: readonly ConfigChangeStep[];
}

const refusalReasons: Record<ConfigChangeRefusal, ErrorReason> = {
  noLeader: 'NO_LEADER',
  transferring: 'TIMEOUT',
  tooMuchUncommitted: 'TOO_MANY_REQUESTS',
  changePending: 'TOO_MANY_REQUESTS',
  // The server has checked the change before: the members have changed since.
  invalidChange: 'TOO_MANY_REQUESTS',
};

export class NodeLoop {
  readonly #options: NodeLoopOptions;
  #queue: Pending[] = [];
  /** What goes before that. */
  #urgent: Pending[] = [];
  #changes: PendingChange[] = [];
  #scheduled = false;
  #retrying = false;
  #stopped = false;
  /** Committed entries waiting to be applied, from `#applyNext` on. */
  #toApply: Entry[] = [];
  #applyNext = 0;
  #applyWaits = false;
  #appliedIndex: LogIndex;
  /** Of entries applied since the start. */
  #appliedBytes = 0;
  readonly #writes: LogWrite[] = [];
  /** Messages that leave when what came with them was applied. */
  #held: readonly Message[] | undefined;
  /** The entry that something is being read for. */
  #applying: Promise<void> | undefined;
  /** The snapshot on its way into the store. */
  #installing: Promise<void> | undefined;
  /** Index of the last snapshot that Raft has told to install. */
  #snapshotTaken: LogIndex | undefined;
  #lastTickMs: number;

  constructor(options: NodeLoopOptions) {
    this.#options = options;
    this.#appliedIndex = options.raft.status().applied;
    this.#lastTickMs = options.clock.nowMs();
  }

  get appliedIndex(): LogIndex {
    return this.#appliedIndex;
  }

  get isStopped(): boolean {
    return this.#stopped;
  }

  /** Starts the ticks; call once. */
  start(): void {
    this.#tickLater();
    this.schedule();
  }

  /** No more ticks, proposals or applies; waiting calls end with `server stopped`. */
  stop(): void {
    this.#stopped = true;
    this.#queue = [];
    this.#urgent = [];
    this.#changes = [];
    this.#options.proposals.failAll('STOPPED');
    this.#options.reads.failAll('STOPPED');
  }

  /** Resolves when no log write is under way. */
  async idle(): Promise<void> {
    while (this.#writes.length > 0 || this.#applyWaits || this.#installing !== undefined) {
      await sleep(this.#options.clock, 1);
    }
  }

  /**
   * Puts an entry (from `newEntry`) into the log; `respond` is called once, when it was applied
   * here or when it is known that it can't be, or when nobody knows within the request timeout.
   * With `onlyInTerm` the entry is refused unless this member still leads in that term. One that
   * found no log within the request timeout, or before its caller went, is dropped. What is urgent
   * goes before what is not, also where that is refused because too much waits.
   */
  propose<Request, Result, Context>(
    data: Buffer,
    request: Request,
    respond: Responder<Request, Result, Context>,
    context: Context,
    onlyInTerm: Term = 0,
    isUrgent = false,
  ): void {
    const { proposals } = this.#options;
    const pending = proposals.add(data, request, respond, context, onlyInTerm);
    if (this.#stopped) {
      proposals.refuse(pending, 'STOPPED');
    } else if (this.#applyGap > gapMax(isUrgent) || proposals.isOverfull(isUrgent)) {
      proposals.refuse(pending, 'TOO_MANY_REQUESTS');
    } else {
      (isUrgent ? this.#urgent : this.#queue).push(pending);
      this.schedule();
    }
  }

  /** Committed entries that are not applied yet. */
  get #applyGap(): number {
    return this.#toApply.length - this.#applyNext;
  }

  /**
   * Puts a change of the members into the log; `data` (from `newEntry`) is what apply.ts wants to
   * know of it. Only at the leader: elsewhere, and while an earlier change is under way for too
   * long, it is refused.
   */
  proposeConfigChange<Request, Result, Context>(
    steps: readonly ConfigChangeStep[],
    data: Buffer,
    request: Request,
    respond: Responder<Request, Result, Context>,
    context: Context,
  ): void {
    const pending = this.#options.proposals.add(data, request, respond, context, 0);
    if (this.#stopped) {
      this.#options.proposals.refuse(pending, 'STOPPED');
      return;
    }
    this.#changes.push({ pending, steps });
    this.schedule();
  }

  /**
   * Runs `run` once a linearizable read may happen here. `bytes`: what the context holds of the
   * request. Where too many wait already, `run` gets TOO_MANY_REQUESTS at once.
   */
  read<Context>(run: ReadWaiter<Context>, context: Context, bytes = 0): void {
    this.#options.reads.add(run, context, bytes);
    this.schedule();
  }

  /**
   * As `read`: resolves once a linearizable read may happen here. It is for administration, and so
   * finds a place where calls of clients do not any more.
   */
  readBarrier(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#options.reads.add(settle, { resolve, reject }, 0, true);
      this.schedule();
    });
  }

  /** A message from another member; for InstallSnapshot see `stepSnapshot`. */
  step(message: Exclude<Message, InstallSnapshot>): void {
    if (this.#stopped) return;
    this.#options.raft.step(message);
    this.schedule();
  }

  /**
   * The message comes when its data are here, with the meta of what was received. True: Raft has
   * taken it, and `install` will be called; false: it knows better, and the data can go. Not to
   * be called again before `install` has resolved.
   */
  stepSnapshot(message: InstallSnapshot): boolean {
    if (this.#stopped) return false;
    const { raft } = this.#options;
    // Only what this very message brings may be taken for it.
    this.#takeReadys();
    this.#snapshotTaken = undefined;
    raft.step(message);
    this.#takeReadys();
    this.#sendHeld();
    this.schedule();
    return this.#snapshotTaken === message.snapshot.index;
  }

  /** Runs the loop when this turn's I/O has been handled. */
  schedule(): void {
    if (this.#scheduled || this.#stopped) return;
    this.#scheduled = true;
    this.#options.clock.afterTurn(this.#run);
  }

  readonly #run = (): void => {
    this.#scheduled = false;
    if (!this.#stopped) this.#options.hurried(this.#turn);
  };

  readonly #turn = (): void => {
    try {
      this.#proposeChanges();
      this.#proposeUrgent();
      this.#proposeQueued();
      this.#options.reads.submit();
      this.#takeReadys();
      this.#applyCommitted();
      this.#sendHeld();
    } catch (error) {
      this.#options.onFatal(error);
    }
  };

  /** It waits for a leader, but not for the disk: it is little, and what is deleted helps. */
  #proposeUrgent(): void {
    if (this.#urgent.length === 0 || this.#options.raft.refusesProposals) return;
    const batch = this.#urgent;
    this.#urgent = [];
    this.#proposeAll(batch, true);
  }

  #proposeQueued(): void {
    if (this.#queue.length === 0) return;
    const { overloaded, raft } = this.#options;
    if (overloaded()) {
      this.#retryLater();
      return;
    }
    // As in etcd: wait for a leader until the request times out, rather than fail at once. Only a
    // message, a write that became durable or a tick can bring one, and each runs the loop.
    if (raft.refusesProposals) return;
    const batch = this.#queue;
    this.#queue = [];
    this.#proposeAll(batch, false);
  }

  #proposeAll(batch: readonly Pending[], isUrgent: boolean): void {
    const { clock, proposals, raft } = this.#options;
    const nowMs = clock.nowMs();
    const data: Uint8Array[] = [];
    for (const pending of batch) {
      if (isOver(pending, nowMs)) this.#drop(pending);
      else if (this.#mayPropose(pending)) {
        pending.sentTerm = raft.term;
        pending.proposedMs = nowMs;
        data.push(pending.data);
      } else proposals.refuse(pending, 'NOT_LEADER');
    }
    const refusal = raft.propose(data, isUrgent);
    if (refusal === undefined) return;
    for (const pending of batch) proposals.refuse(pending, refusalReasons[refusal]);
  }

  /**
   * Its call has ended, or ends now: nobody may find out later that it was done after all. What was
   * answered already is not answered again.
   */
  #drop(pending: Pending): void {
    const { clock, proposals, timeoutReason } = this.#options;
    if (pending.deadlineMs <= clock.nowMs()) proposals.expire(timeoutReason);
    else proposals.refuse(pending, 'TIMEOUT');
  }

  /** What waits for a leader or the disk holds no bodies of calls that have ended. */
  #dropOver(): void {
    const nowMs = this.#options.clock.nowMs();
    const drop = (waiting: Pending[]): Pending[] => {
      if (waiting.length === 0) return waiting;
      // What its end brings with it comes behind.
      const all = waiting.splice(0);
      const left: Pending[] = [];
      for (const pending of all) {
        if (isOver(pending, nowMs)) this.#drop(pending);
        else left.push(pending);
      }
      return waiting.length === 0 ? left : left.concat(waiting);
    };
    this.#urgent = drop(this.#urgent);
    this.#queue = drop(this.#queue);
  }

  #proposeChanges(): void {
    if (this.#changes.length === 0) return;
    const { id, proposals, raft } = this.#options;
    const changes = this.#changes;
    this.#changes = [];
    for (const change of changes) {
      const { pending, steps } = change;
      if (pending.deadlineMs <= this.#options.clock.nowMs()) continue; // expired
      const context = pending.data;
      const refusal =
        raft.leader === id
          ? raft.proposeConfigChange({ steps, transition: 'auto', context })
          : 'noLeader';
      if (refusal === undefined) continue;
      if (refusal === 'changePending') {
        this.#changes.push(change);
        this.#retryLater();
      } else {
        proposals.refuse(pending, refusal === 'noLeader' ? 'NOT_LEADER' : refusalReasons[refusal]);
      }
    }
  }

  #mayPropose({ onlyInTerm }: Pending): boolean {
    if (onlyInTerm === 0) return true;
    const { raft, id } = this.#options;
    return raft.leader === id && raft.term === onlyInTerm;
  }

  /** At most one timer: else each turn that has to wait would add one that never ends. */
  #retryLater(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    this.#options.clock.after(this.#options.tickMs / 10, () => {
      this.#retrying = false;
      this.schedule();
    });
  }

  #takeReadys(): void {
    const { clock, counts, raft, reads } = this.#options;
    reads.follow(raft.leader, raft.term);
    while (raft.hasReady()) {
      const ready = raft.ready();
      this.#sendOrHold(ready);
      this.#persist(ready);
      for (const state of ready.readStates) reads.confirmed(state);
      for (const entry of ready.committedEntries) this.#toApply.push(entry);
      const committed = ready.committedEntries.at(-1);
      if (committed !== undefined) counts.steps.committed.note(committed.index, clock.nowMs());
      this.#options.onReady();
    }
  }

  /**
   * What others have to write leaves before this member writes it, too: the answer waits for both.
   * News of a commit alone are not what anybody waits for as long as here; they leave behind the
   * answers, unless there is so much to apply that others would hear late of this member.
   */
  #sendOrHold({ entries, committedEntries, messages }: Ready): void {
    this.#sendHeld();
    if (messages.length === 0) return;
    if (entries.length > 0) {
      this.#options.send(messages);
      this.#options.flush();
    } else if (this.#isSoonApplied(committedEntries)) this.#held = messages;
    else this.#options.send(messages);
  }

  /** A change of the members may end the very link on which others are to hear of it. */
  #isSoonApplied(entries: readonly Entry[]): boolean {
    const { length } = entries;
    if (length === 0 || this.#applyGap + length > heldApplyMax) return false;
    return entries.every(({ type }) => type !== 'configChange');
  }

  #sendHeld(): void {
    const held = this.#held;
    if (held === undefined) return;
    this.#held = undefined;
    this.#options.send(held);
  }

  /**
   * Readys become persisted in the order they were handed out. One that needs no fsync (only the
   * commit hint moved) is not waited for, but it stays behind earlier ones that do.
   */
  #persist(ready: Ready): void {
    const write: LogWrite = { ready, durable: !ready.mustSync };
    this.#writes.push(write);
    if (ready.snapshot !== undefined) {
      this.#installSnapshot(write, ready.snapshot);
    } else if (ready.entries.length > 0 || ready.hardState !== undefined) {
      this.#options.wal.append(ready.hardState, ready.entries, ready.mustSync).then(
        () => this.#durable(write),
        (error: unknown) => this.#options.onFatal(error),
      );
    }
    this.#settleWrites();
  }

  /**
   * The data of the snapshot are on disk already, beside the present state; from the mark in the
   * log on they are what counts. Entries behind the snapshot follow the mark in the log.
   */
  #installSnapshot(write: LogWrite, snapshot: SnapshotMeta): void {
    const { wal, onFatal } = this.#options;
    const { hardState, entries } = write.ready;
    this.#snapshotTaken = snapshot.index;
    // What was not applied yet is in the snapshot.
    this.#toApply = [];
    this.#applyNext = 0;
    assert(this.#installing === undefined, 'one snapshot is installed at a time');
    const applying = this.#applying ?? Promise.resolve();
    this.#applyWaits = true;
    // The mark first: a commit index that is durable without it would speak of entries that are
    // still in the log and that the snapshot contradicts.
    const persisted = Promise.all([
      wal.markSnapshot(snapshot),
      wal.append(hardState, entries, true),
    ]);
    this.#installing = persisted
      .then(() => this.#durable(write))
      // An entry that is being applied belongs to the state before.
      .then(() => applying)
      .then(() => (this.#stopped ? undefined : this.#options.install(snapshot)))
      .then(() => {
        this.#installing = undefined;
        this.#applyWaits = false;
        if (!this.#stopped) this.#snapshotInstalled(snapshot.index);
      })
      .catch((error: unknown) => onFatal(error));
  }

  #snapshotInstalled(index: LogIndex): void {
    this.#appliedIndex = index;
    this.#options.proposals.skipped();
    this.#options.raft.applied(index);
    this.#options.reads.applied(index);
    this.#options.onApplied(index, this.#appliedBytes);
    this.#applyCommitted();
    this.schedule();
  }

  #durable(write: LogWrite): void {
    if (write.durable) return;
    write.durable = true;
    const { clock, counts } = this.#options;
    const last = write.ready.entries.at(-1);
    if (last !== undefined) counts.steps.durable.note(last.index, clock.nowMs());
    try {
      this.#settleWrites();
      if (this.#stopped) return;
      this.#takeReadys();
      this.#applyCommitted();
      this.#sendHeld();
      // There may be a leader now, so what waited for one need not wait for the next tick.
      if (this.#queue.length > 0 || this.#urgent.length > 0) this.schedule();
    } catch (error) {
      this.#options.onFatal(error);
    }
  }

  #settleWrites(): void {
    while (this.#writes[0]?.durable === true) {
      const ready = (this.#writes.shift() as LogWrite).ready;
      this.#options.raft.persisted(ready.sequence);
      if (ready.messagesAfterPersist.length > 0) this.#options.send(ready.messagesAfterPersist);
    }
  }

  #applyCommitted(): void {
    if (this.#applyWaits) return;
    const { applier, clock, proposals, raft, reads } = this.#options;
    let last: LogIndex = this.#appliedIndex;
    const untilMs = clock.nowMs() + sliceMsMax;
    while (this.#applyNext < this.#toApply.length) {
      // A member that catches up has thousands of entries to apply; others go on meanwhile.
      if ((this.#applyNext & applyLookMask) === applyLookMask && clock.nowMs() >= untilMs) {
        this.schedule();
        break;
      }
      const entry = this.#toApply[this.#applyNext++] as Entry;
      assert(entry.index === last + 1, 'entries are applied one after the other');
      last = entry.index;
      const unlogged = proposals.takeUnlogged(entry.term);
      if (unlogged !== undefined) this.#proposeAgain(unlogged);
      this.#appliedBytes += entry.data.length + entryOverheadBytes;
      const waits = applier.apply(entry);
      if (waits === undefined) continue;
      this.#applyWaits = true;
      this.#applying = waits.then(
        () => {
          this.#applying = undefined;
          // Else a snapshot is being installed, which takes over from here.
          if (this.#installing === undefined) {
            this.#applyWaits = false;
            if (!this.#stopped) this.#resumeApply();
          }
        },
        (error: unknown) => this.#options.onFatal(error),
      );
      // The waiting entry is not applied yet; what came before it is.
      last = entry.index - 1;
      break;
    }
    if (this.#applyNext === this.#toApply.length && this.#applyNext > 0) {
      this.#toApply = [];
      this.#applyNext = 0;
    }
    if (last === this.#appliedIndex) return;
    this.#appliedIndex = last;
    raft.applied(last);
    applier.afterRun();
    reads.applied(last);
    this.#options.onApplied(last, this.#appliedBytes);
    if (raft.hasReady()) this.schedule();
  }

  /**
   * What was lost with an earlier leader goes to this one while its call waits: a client need not
   * time out because it was heard at the wrong moment.
   */
  #proposeAgain(unlogged: readonly Pending[]): void {
    this.#options.counts.proposalsResent += unlogged.length;
    this.#queue = unlogged.concat(this.#queue);
    this.schedule();
  }

  #resumeApply(): void {
    // The entry that waited has been applied by its promise.
    this.#appliedIndex++;
    this.#options.raft.applied(this.#appliedIndex);
    try {
      this.#options.applier.afterRun();
      this.#options.reads.applied(this.#appliedIndex);
      this.#options.onApplied(this.#appliedIndex, this.#appliedBytes);
      this.#applyCommitted();
    } catch (error) {
      this.#options.onFatal(error);
    }
    this.schedule();
  }

  #tickLater(): void {
    this.#options.clock.after(this.#options.tickMs, () => {
      if (this.#stopped) return;
      this.#tick();
      this.#tickLater();
    });
  }

  /**
   * One tick however late the timer is: a stalled process must not conclude from its own stall that
   * others are silent.
   */
  #tick(): void {
    const { clock, logger, raft, proposals, reads, tickMs, timeoutReason } = this.#options;
    const now = clock.nowMs();
    const lateMs = now - this.#lastTickMs - tickMs;
    this.#lastTickMs = now;
    if (lateMs > 10 * tickMs)
      logger.warn('the event loop stalled', { late_ms: Math.round(lateMs) });
    raft.tick();
    this.#options.onTick();
    proposals.expire(timeoutReason);
    this.#dropOver();
    reads.expire('TIMEOUT');
    this.schedule();
  }
}

/** Committed entries that may wait to be applied. */
function gapMax(isUrgent: boolean): number {
  // As etcd with its feature gate PriorityRequest, which is always on here.
  return isUrgent ? 2 * commitApplyGapMax : commitApplyGapMax;
}

/** No caller waits for it any more. */
function isOver(pending: Pending, nowMs: number): boolean {
  return pending.deadlineMs <= nowMs || pending.isAbandoned;
}
