/**
 * Puts together what the driver must do next: see the head of types.ts for its duties, and thesis
 * 3.8 and 10.2.1 for why they have an order.
 *
 * A Ready may be taken while earlier ones are still being written. It holds only what no earlier
 * one held; what may be applied follows the writes that are finished (writes.ts).
 */

import type { LogIndex, MemberId, Term } from '../common/index.js';
import { isSendDue, sendDue } from './replication.js';
import type { RaftState } from './state.js';
import type { Entry, HardState, Message, ReadState, Ready } from './types.js';

// Shared, since most Readys lack most parts. Nobody changes them.
const noEntries: readonly Entry[] = [];
const noMessages: readonly Message[] = [];
const noReadStates: readonly ReadState[] = [];

export class ReadyMaker {
  readonly #state: RaftState;
  #sequence = 0;
  // What the last HardState said.
  #term: Term;
  #vote: MemberId;
  #commit: LogIndex;

  constructor(state: RaftState, restored: HardState) {
    this.#state = state;
    this.#term = restored.term;
    this.#vote = restored.vote;
    this.#commit = restored.commit;
  }

  /** Changes nothing: what is due is made when it is taken. */
  hasReady(): boolean {
    const state = this.#state;
    const { log, leadership } = state;
    return (
      log.writes.handedIndex < log.lastIndex ||
      log.applicableIndex > log.handedApplyIndex ||
      log.pendingSnapshot !== undefined ||
      state.messages.length > 0 ||
      state.messagesAfterPersist.length > 0 ||
      state.readStates.length > 0 ||
      this.#hardStateChanged() ||
      (leadership !== undefined && isSendDue(state, leadership))
    );
  }

  #hardStateChanged(): boolean {
    const { term, vote, log } = this.#state;
    return term !== this.#term || vote !== this.#vote || log.commitIndex !== this.#commit;
  }

  take(): Ready {
    const state = this.#state;
    const { log } = state;
    // Before the committed entries: a leader that applies its own removal stops sending.
    if (state.leadership !== undefined) sendDue(state, state.leadership);
    const { handedIndex } = log.writes;
    const entries = handedIndex < log.lastIndex ? log.tail(handedIndex) : noEntries;
    const snapshot = log.pendingSnapshot;
    const votedOrNewTerm = state.term !== this.#term || state.vote !== this.#vote;
    const hardState = this.#takeHardState();
    this.#sequence += 1;
    log.writes.handOut(this.#sequence, log.lastIndex, hardState);
    if (state.trace !== undefined) state.trace.ready(this.#sequence, entries.length > 0);
    if (snapshot !== undefined) {
      log.pendingSnapshot = undefined;
      log.handedApplyIndex = snapshot.index;
    }
    return {
      sequence: this.#sequence,
      hardState,
      entries,
      snapshot,
      messages: this.#takeMessages(),
      messagesAfterPersist: this.#takeMessagesAfterPersist(),
      committedEntries: this.#takeCommitted(),
      readStates: this.#takeReadStates(),
      mustSync: entries.length > 0 || snapshot !== undefined || votedOrNewTerm,
    };
  }

  /**
   * The commit index goes with the entries it came with, in the same write: a member that holds a
   * second configuration change must not forget that the first one is committed.
   */
  #takeHardState(): HardState | undefined {
    if (!this.#hardStateChanged()) return undefined;
    const { term, vote, log } = this.#state;
    this.#term = term;
    this.#vote = vote;
    this.#commit = log.commitIndex;
    return { term, vote, commit: log.commitIndex };
  }

  #takeCommitted(): readonly Entry[] {
    const { log, options } = this.#state;
    const from = log.handedApplyIndex + 1;
    const to = log.applicableIndex;
    if (to < from) return noEntries;
    const entries = log.slice(from, to, options.applyBytesMax);
    log.handedApplyIndex += entries.length;
    return entries;
  }

  #takeMessages(): readonly Message[] {
    const { messages } = this.#state;
    if (messages.length === 0) return noMessages;
    this.#state.messages = [];
    return messages;
  }

  #takeMessagesAfterPersist(): readonly Message[] {
    const { messagesAfterPersist } = this.#state;
    if (messagesAfterPersist.length === 0) return noMessages;
    this.#state.messagesAfterPersist = [];
    return messagesAfterPersist;
  }

  #takeReadStates(): readonly ReadState[] {
    const { readStates } = this.#state;
    if (readStates.length === 0) return noReadStates;
    this.#state.readStates = [];
    return readStates;
  }
}
