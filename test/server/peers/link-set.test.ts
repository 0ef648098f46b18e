import { describe, expect, it } from 'vitest';
import type { MemberId } from '../../../src/common/index.js';
import type { Message } from '../../../src/raft/index.js';
import {
  LinkSet,
  type PeerAddress,
  type PeerLink,
  PeerMetrics,
} from '../../../src/server/peers/index.js';

const id = (n: number): MemberId => BigInt(n) as MemberId;
const peer = (n: number, url = `http://m${n}`): PeerAddress => ({ id: id(n), peerUrls: [url] });
const heartbeat = (to: number): Message =>
  ({ type: 'Heartbeat', from: id(1), to: id(to), term: 1 }) as unknown as Message;

/** A link that writes down what is done with it. */
class NotedLink implements PeerLink {
  readonly log: string[];
  isUp = true;
  constructor(log: string[]) {
    this.log = log;
  }
  send(message: Message): boolean {
    this.log.push(`send to ${message.to}`);
    return this.isUp;
  }
  update(peerUrls: readonly string[]): void {
    this.log.push(`update ${peerUrls.join()}`);
  }
  stop(reason: string): void {
    this.log.push(`stop: ${reason}`);
  }
}

function bench() {
  const log: string[] = [];
  const dropped: MemberId[] = [];
  const links = new LinkSet<NotedLink>();
  const start = (): void =>
    links.start({
      self: id(1),
      metrics: new PeerMetrics(),
      open: ({ id: member, peerUrls }) => {
        log.push(`open ${member} ${peerUrls.join()}`);
        return new NotedLink(log);
      },
      dropped: (member) => dropped.push(member),
    });
  return { links, log, dropped, start };
}

describe('the links of a member', () => {
  it('are to the peers that were known at the start, and not to itself', () => {
    const { links, log, start } = bench();
    links.setPeers([peer(1), peer(2), peer(3)]);
    expect(log).toEqual([]);
    start();
    expect(log).toEqual(['open 2 http://m2', 'open 3 http://m3']);
    expect(links.get(id(1))).toBeUndefined();
  });

  it('follow the list of peers', () => {
    const { links, log, start } = bench();
    links.setPeers([peer(2), peer(3)]);
    start();
    log.length = 0;
    links.setPeers([peer(3, 'http://elsewhere'), peer(4)]);
    expect(log).toEqual([
      'stop: it is no member any more',
      'update http://elsewhere',
      'open 4 http://m4',
    ]);
    expect([...links].map(([member]) => member)).toEqual([3n, 4n]);
  });

  it('tell of what finds no link, or no room on it', () => {
    const { links, dropped, start } = bench();
    links.setPeers([peer(2), peer(3)]);
    links.send([heartbeat(2)]);
    expect(dropped).toEqual([]);
    start();
    const three = links.get(id(3));
    if (three !== undefined) three.isUp = false;
    links.send([heartbeat(2), heartbeat(3), heartbeat(9)]);
    expect(dropped).toEqual([3n, 9n]);
  });

  it('end once, and do not come back', () => {
    const { links, log, dropped, start } = bench();
    links.setPeers([peer(2)]);
    start();
    links.end((link) => link.stop('over'));
    expect(log.at(-1)).toBe('stop: over');
    links.setPeers([peer(2), peer(3)]);
    links.send([heartbeat(2)]);
    expect([...links]).toEqual([]);
    expect(dropped).toEqual([]);
    expect(start).toThrow('links start once');
  });
});
