/**
 * Whose turn it is to send on a connection: a list of streams that could send if the connection let
 * them, and one of those that wait for a window of their own. The links are fields of the streams,
 * so that one leaves from the middle in one step (one that is gone must not be held until its turn
 * comes, which may be never), and all that wait become ready in one step, however many they are.
 */

import { assert } from '../common/index.js';
import { noTurn, type Stream } from './stream.js';

const readyTurn = -1;

/** The streams of one connection that have something to send. */
export class SendTurns {
  /** Next in turn. */
  head: Stream | undefined = undefined;
  #tail: Stream | undefined = undefined;
  #blockedHead: Stream | undefined = undefined;
  #blockedTail: Stream | undefined = undefined;
  #blockedCount = 0;
  /** The `turn` of streams that are blocked; that of others in a list is any other number. */
  #blockedTurn = 1;

  /** Streams that wait for a window of their own. */
  get blockedCount(): number {
    return this.#blockedCount;
  }

  /** The stream could send: it gets its turn, behind the others. */
  ready(stream: Stream): void {
    if (stream.turn !== noTurn) {
      if (stream.turn !== this.#blockedTurn) return;
      this.leave(stream);
    }
    stream.turn = readyTurn;
    stream.previousTurn = this.#tail;
    if (this.#tail === undefined) this.head = stream;
    else this.#tail.nextTurn = stream;
    this.#tail = stream;
    assert(this.head !== undefined, 'a list with an end has a beginning');
  }

  /** The stream, which is in no list, can't send until its window grows. */
  block(stream: Stream): void {
    assert(stream.turn === noTurn, 'a stream is in one list');
    stream.turn = this.#blockedTurn;
    stream.previousTurn = this.#blockedTail;
    if (this.#blockedTail === undefined) this.#blockedHead = stream;
    else this.#blockedTail.nextTurn = stream;
    this.#blockedTail = stream;
    this.#blockedCount++;
  }

  /** The windows of all streams have grown. */
  unblockAll(): void {
    const first = this.#blockedHead;
    if (first === undefined) return;
    if (this.#tail === undefined) this.head = first;
    else this.#tail.nextTurn = first;
    first.previousTurn = this.#tail;
    this.#tail = this.#blockedTail;
    assert(this.#tail !== undefined, 'a list with a beginning has an end');
    this.#blockedHead = undefined;
    this.#blockedTail = undefined;
    this.#blockedCount = 0;
    this.#blockedTurn++;
  }

  /** The stream, which is in a list, has nothing to send, or is gone. */
  leave(stream: Stream): void {
    assert(stream.turn !== noTurn, 'who leaves a list was in one');
    const { previousTurn, nextTurn } = stream;
    const blocked = stream.turn === this.#blockedTurn;
    if (previousTurn !== undefined) previousTurn.nextTurn = nextTurn;
    else if (blocked) this.#blockedHead = nextTurn;
    else this.head = nextTurn;
    if (nextTurn !== undefined) nextTurn.previousTurn = previousTurn;
    else if (blocked) this.#blockedTail = previousTurn;
    else this.#tail = previousTurn;
    if (blocked) this.#blockedCount--;
    assert(this.#blockedCount >= 0, 'no more streams leave than are blocked');
    stream.turn = noTurn;
    stream.previousTurn = undefined;
    stream.nextTurn = undefined;
  }

  /** Forgets them all, for nothing more is sent; they may still leave, which changes nothing. */
  clear(): void {
    this.head = undefined;
    this.#tail = undefined;
    this.#blockedHead = undefined;
    this.#blockedTail = undefined;
    this.#blockedCount = 0;
    this.#blockedTurn++;
  }
}
