/**
 * One lane to one member: a connection, and on it one stream of frames. Dialled again for ever
 * while it is wanted, first at once and then ever more slowly; the URLs are tried in turn.
 *
 *   waiting -> dialling -> greeting (the stream is open, the welcome not there) -> up -> waiting
 *
 * Nothing is kept for a lane that is not up: Raft knows better than a queue what to send later.
 */

import {
  assert,
  ConnectionRefusedError,
  type MemberId,
  peerPingIntervalMs,
  type Timer,
} from '../../common/index.js';
import type { ClientStream, GrpcClient, RpcStatus } from '../../transport/index.js';
import type { ServerUrl } from '../options/index.js';
import { FrameError } from './frame.js';
import { introduce, refusalOf } from './handshake.js';
import {
  decodePing,
  decodeWelcome,
  encodePing,
  kindPing,
  kindPong,
  welcomeTakesClocks,
  welcomeTakesNotices,
} from './link-frames.js';
import { dial, dialTimeoutMs, labelOf, type PeerContext } from './peer-context.js';
import { type Redial, redialMs, steadyMs } from './redial.js';

export const laneNames = ['entries', 'control'] as const;
export type LaneName = (typeof laneNames)[number];

export function lanePath(name: LaneName): string {
  return name === 'entries' ? '/kvorum.Peer/Entries' : '/kvorum.Peer/Control';
}

/** What a lane tells its link. */
export interface LaneOwner {
  onUp(): void;
  /** Was up, is no longer. */
  onDown(): void;
  /** An attempt to dial failed, or the other side refused. */
  onDialFailed(reason: string): void;
  /** It was up, and now nobody listens at any of the URLs; told at each attempt. */
  onNobodyListens(): void;
}

export interface LaneOptions {
  readonly name: LaneName;
  readonly member: MemberId;
  readonly queueBytesMax: number;
  /** The connection is given up after so many election timeouts without a byte. */
  readonly silenceElections: number;
}

export class Lane {
  readonly #context: PeerContext;
  readonly #options: LaneOptions;
  readonly #owner: LaneOwner;
  #urls: readonly ServerUrl[];
  #urlIndex = 0;
  /** Failures in a row; they make the pauses longer. */
  #failures = 0;
  /** Counts attempts, so that what belongs to an earlier one is known by it. */
  #attempt = 0;
  #timer: Timer | undefined;
  #client: GrpcClient | undefined;
  #dialling: AbortController | undefined;
  #stream: ClientStream | undefined;
  #upSinceMs: number | undefined;
  /** It has been up with the present URLs. */
  #wasUp = false;
  /** Attempts in a row to which a machine said that nobody listens. */
  #nobodyThere = 0;
  #takesClocks = false;
  #takesNotices = false;
  /** The queue is full until the stream drains. */
  #full = false;
  #stopped = false;
  #warned = false;
  #pingSequence = 0;
  #pingSentMs = 0;

  constructor(
    context: PeerContext,
    options: LaneOptions,
    urls: readonly ServerUrl[],
    owner: LaneOwner,
  ) {
    this.#context = context;
    this.#options = options;
    this.#urls = urls;
    this.#owner = owner;
    this.#dial();
  }

  /** Since when it is up (Clock.nowMs). */
  get upSinceMs(): number | undefined {
    return this.#upSinceMs;
  }

  /** The connection, for calls; undefined unless the lane is up. */
  get client(): GrpcClient | undefined {
    return this.#upSinceMs === undefined ? undefined : this.#client;
  }

  /** True if `send` would take a frame. */
  get ready(): boolean {
    return this.#upSinceMs !== undefined && !this.#full;
  }

  /** See `encodeMessage`. */
  get takesClocks(): boolean {
    return this.#takesClocks;
  }

  /** See `encodeMessage`. */
  get takesNotices(): boolean {
    return this.#takesNotices;
  }

  /** Sends a frame; ownership passes. Only when `ready`. */
  send(frame: Buffer): void {
    assert(this.ready, 'a frame for a lane that takes none');
    if (this.#stream?.send(frame) === false) this.#full = true;
  }

  /** The member is elsewhere now: dialled anew. */
  setUrls(urls: readonly ServerUrl[]): void {
    this.#urls = urls;
    this.#urlIndex = 0;
    this.#failures = 0;
    this.#wasUp = false;
    this.#hangUp();
    if (!this.#stopped) this.#dial();
  }

  stop(): void {
    this.#stopped = true;
    this.#hangUp();
  }

  #dial(): void {
    assert(!this.#stopped, 'a lane that was stopped dials');
    assert(this.#client === undefined && this.#upSinceMs === undefined, 'a lane dials twice');
    const attempt = ++this.#attempt;
    const url = this.#urls[this.#urlIndex % Math.max(1, this.#urls.length)];
    if (url === undefined) return; // no URL that can be dialled: `setUrls` may bring one
    const context = this.#context;
    const { queueBytesMax, silenceElections } = this.#options;
    const timeoutMs = dialTimeoutMs(context);
    const dialling = new AbortController();
    this.#dialling = dialling;
    dial(context, url, timeoutMs, queueBytesMax, silenceElections, dialling.signal).then(
      (client) => {
        if (attempt === this.#attempt) this.#open(client);
        else client.destroy();
      },
      (error: unknown) => {
        if (attempt === this.#attempt) this.#dialFailed(error);
      },
    );
  }

  #dialFailed(error: unknown): void {
    const nobodyThere = error instanceof ConnectionRefusedError ? this.#nobodyThere + 1 : 0;
    this.#failed(String(error), 'retry');
    this.#nobodyThere = nobodyThere;
    if (this.#wasUp && nobodyThere >= this.#urls.length) this.#owner.onNobodyListens();
  }

  #open(client: GrpcClient): void {
    const context = this.#context;
    const attempt = this.#attempt;
    assert(this.#client === undefined && !this.#stopped, 'a lane that does not dial was answered');
    this.#client = client;
    const { name, member } = this.#options;
    const stream = client.stream(lanePath(name), { metadata: introduce(context.hello(), member) });
    this.#stream = stream;
    this.#full = false;
    this.#timer = context.clock.after(dialTimeoutMs(context), () => {
      this.#failed('no welcome within the time limit', 'retry');
    });
    stream.onMessage = (frame) => {
      if (attempt === this.#attempt) this.#onFrame(frame);
    };
    stream.onStatus = (status) => {
      if (attempt === this.#attempt) this.#onStatus(status);
    };
    stream.onDrain = () => {
      if (attempt === this.#attempt) this.#full = false;
    };
  }

  #onFrame(frame: Buffer): void {
    try {
      if (this.#upSinceMs !== undefined) {
        this.#onPong(decodePing(kindPong, frame));
        return;
      }
      this.#onWelcome(frame);
    } catch (error) {
      if (!(error instanceof FrameError)) throw error;
      this.#context.metrics.receivedFailures.inc(labelOf(this.#options.member));
      this.#failed(`damaged frame: ${error.message}`, 'retry');
    }
  }

  #onWelcome(frame: Buffer): void {
    assert(this.#stream !== undefined && !this.#stopped, 'a welcome on a stream that is not open');
    const hello = decodeWelcome(frame);
    this.#takesClocks = welcomeTakesClocks(frame);
    this.#takesNotices = welcomeTakesNotices(frame);
    const { handler, clock, logger } = this.#context;
    const { member, name } = this.#options;
    const own = this.#context.hello();
    // The listener has been asked whether it is `member`; here it says so itself, and is judged
    // as if it had called us: what is sent to a member without its memory could count as a vote.
    const doubt =
      hello.memberId !== member ? 'notForThisMember' : handler.admit(hello, own.memberId);
    if (doubt !== undefined) {
      this.#failed(`who answered is not the member that we know: ${doubt}`, 'slow');
      return;
    }
    this.#timer?.cancel();
    this.#upSinceMs = clock.nowMs();
    this.#wasUp = true;
    this.#warned = false;
    logger.info('link to a member is up', { member: labelOf(member), lane: name });
    if (name === 'control') this.#ping();
    this.#owner.onUp();
  }

  #ping(): void {
    const { clock } = this.#context;
    if (this.ready) {
      this.#pingSentMs = clock.nowMs();
      this.send(encodePing(kindPing, ++this.#pingSequence));
    }
    this.#timer = clock.after(peerPingIntervalMs, () => this.#ping());
  }

  #onPong(sequence: number): void {
    if (sequence !== this.#pingSequence) return; // too late to say anything about now
    const { clock, metrics } = this.#context;
    const seconds = (clock.nowMs() - this.#pingSentMs) / 1000;
    metrics.roundTrip.of(labelOf(this.#options.member)).observe(seconds);
  }

  #onStatus(status: RpcStatus): void {
    const refusal = refusalOf(status);
    if (refusal === undefined) {
      this.#failed(status.message || 'the stream was ended', 'retry');
      return;
    }
    this.#failed(`refused: ${refusal}`, 'slow');
    this.#context.handler.refused(this.#options.member, refusal);
  }

  #failed(reason: string, how: Redial): void {
    const { clock, logger, random } = this.#context;
    const { member, name } = this.#options;
    const upMs = this.#upSinceMs === undefined ? 0 : clock.nowMs() - this.#upSinceMs;
    const wasUp = this.#upSinceMs !== undefined;
    this.#failures = upMs > steadyMs ? 0 : this.#failures + 1;
    this.#nobodyThere = 0;
    if (!wasUp) this.#urlIndex++;
    const fields = { member: labelOf(member), lane: name, reason };
    if (wasUp) logger.warn('lost the link to a member', fields);
    else if (!this.#warned) logger.warn('no link to a member, trying on', fields);
    else logger.debug('no link to a member, trying on', fields);
    this.#warned = true;
    this.#hangUp();
    if (this.#stopped) return;
    assert(this.#client === undefined, 'a lane waits with a connection');
    const pauseMs = redialMs(how, this.#failures, random);
    this.#timer = clock.after(pauseMs, () => this.#dial());
    if (!wasUp) this.#owner.onDialFailed(reason);
  }

  /** Ends what there is of a connection or an attempt. */
  #hangUp(): void {
    this.#attempt++;
    this.#timer?.cancel();
    this.#dialling?.abort(new Error('not wanted any more'));
    const client = this.#client;
    const wasUp = this.#upSinceMs !== undefined;
    this.#client = undefined;
    this.#stream = undefined;
    this.#upSinceMs = undefined;
    client?.destroy();
    if (wasUp) this.#owner.onDown();
  }
}
