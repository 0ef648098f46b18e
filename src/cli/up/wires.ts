/**
 * The links between members of a local cluster: each member's peer URL leads through here. A member
 * calls from an address of its own (127.0.0.11, 127.0.0.12, ...; the feature gate
 * SetMemberLocalAddr), so that every connection says whose it is, and those of one can be cut.
 *
 * Cut links lose nothing and say nothing, as when a cable is drawn: bytes wait, and connections
 * that are made meanwhile hear nothing. When they are mended those end, and are made anew.
 */

import { connect, createServer, type Server, type Socket } from 'node:net';

/** Where a member is reached, and where it is really. */
export interface Wire {
  /** Its address, which nobody else has. */
  readonly host: string;
  readonly port: number;
  readonly targetPort: number;
}

/** One connection from a member to another. */
interface Link {
  readonly from: string;
  readonly to: string;
  readonly sockets: readonly Socket[];
  readonly isHeld: () => boolean;
  hold(): void;
}

export class Wires {
  readonly #servers = new Map<string, Server>();
  readonly #links = new Set<Link>();
  readonly #cut = new Set<string>();

  /** Listens for a member that runs. Rejects if its address can't be had. */
  async open(wire: Wire): Promise<void> {
    if (this.#servers.has(wire.host)) return;
    const server = createServer({ noDelay: true }, (socket) => this.#accept(wire, socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen({ host: wire.host, port: wire.port, exclusive: true }, resolve);
    });
    this.#servers.set(wire.host, server);
  }

  /** Nobody listens for a member that has ended: others are refused, as its machine would do. */
  close({ host }: Pick<Wire, 'host'>): void {
    this.#servers.get(host)?.close();
    this.#servers.delete(host);
    for (const link of this.#links) if (link.to === host || link.from === host) end(link);
  }

  /** Cuts a member off from all others. */
  cut({ host }: Pick<Wire, 'host'>): void {
    this.#cut.add(host);
    for (const link of this.#links) if (this.#isCut(link)) link.hold();
  }

  mend({ host }: Pick<Wire, 'host'>): void {
    this.#cut.delete(host);
    for (const link of [...this.#links]) if (link.isHeld() && !this.#isCut(link)) end(link);
  }

  isCut({ host }: Pick<Wire, 'host'>): boolean {
    return this.#cut.has(host);
  }

  end(): void {
    for (const host of [...this.#servers.keys()]) this.close({ host });
  }

  #isCut({ from, to }: Pick<Link, 'from' | 'to'>): boolean {
    return this.#cut.has(from) || this.#cut.has(to);
  }

  #accept({ host, targetPort }: Wire, incoming: Socket): void {
    const from = incoming.remoteAddress ?? '';
    const sockets = [incoming];
    let isHeld = false;
    const link: Link = {
      ...{ from, to: host, sockets },
      isHeld: () => isHeld,
      hold() {
        isHeld = true;
        for (const socket of sockets) {
          socket.unpipe();
          socket.pause();
        }
      },
    };
    this.#links.add(link);
    const watch = (socket: Socket): void => {
      socket.on('error', () => end(link));
      socket.once('close', () => {
        // The other side of a cut wire does not hear of it.
        if (isHeld) return;
        end(link);
        this.#links.delete(link);
      });
    };
    watch(incoming);
    if (this.#isCut(link)) {
      link.hold();
      return;
    }
    const outgoing = connect({ host, port: targetPort, noDelay: true });
    sockets.push(outgoing);
    watch(outgoing);
    incoming.pipe(outgoing);
    outgoing.pipe(incoming);
  }
}

function end({ sockets }: Link): void {
  for (const socket of sockets) socket.destroy();
}

/** Wires need an address for each member; Linux has all of 127.0.0.0/8, others do not. */
export function canListenAt(host: string): Promise<boolean> {
  const server = createServer();
  return new Promise((resolve) => {
    server.once('error', () => resolve(false));
    server.listen({ host, port: 0 }, () => server.close(() => resolve(true)));
  });
}
