/**
 * TLS of a listener in a thread with sockets: certificates are in the thread, but whether they have
 * changed, and who is refused although believed, the core is asked.
 */

import type { TlsDenial, TlsRefusal } from '../../../common/index.js';
import type { AcceptorTls } from '../tls-node.js';
import type { PresentedCertificate } from '../tls-presented.js';
import type { FromThread, PlainTls } from './control.js';

/** One listener's. */
export class RemoteTls {
  readonly #listener: number;
  readonly #post: (message: FromThread) => void;
  readonly #denials: PendingDenials;
  #now: AcceptorTls;
  /** Resolved in the order of the questions. */
  readonly #askedTls: Array<(tls: AcceptorTls) => void> = [];

  constructor(
    listener: number,
    tls: PlainTls,
    post: (message: FromThread) => void,
    denials: PendingDenials,
  ) {
    this.#listener = listener;
    this.#post = post;
    this.#denials = denials;
    this.#now = this.#withFunctions(tls);
  }

  /** For the acceptor; `asks`: TLS may change. */
  options(asks: boolean): AcceptorTls {
    if (!asks) return this.#now;
    return { ...this.#now, current: () => this.#ask() };
  }

  /** The answer to the oldest question. */
  answered(tls: PlainTls | undefined): void {
    if (tls !== undefined) this.#now = this.#withFunctions(tls);
    this.#askedTls.shift()?.(this.#now);
  }

  #ask(): Promise<AcceptorTls> {
    const answer = new Promise<AcceptorTls>((resolve) => this.#askedTls.push(resolve));
    this.#post({ type: 'askTls', listener: this.#listener });
    return answer;
  }

  #withFunctions({ asksDenial, ...plain }: PlainTls): AcceptorTls {
    const listener = this.#listener;
    return {
      ...plain,
      onRefused: (refusal) => {
        this.#post({ type: 'refused', listener, refusal: plainRefusal(refusal) });
      },
      ...(asksDenial ? { denial: (presented) => this.#denials.ask(listener, presented) } : {}),
    };
  }
}

/** Questions of a thread that are under way. */
export class PendingDenials {
  readonly #post: (message: FromThread) => void;
  readonly #asked = new Map<number, (denial: TlsDenial | undefined) => void>();
  #questions = 0;

  constructor(post: (message: FromThread) => void) {
    this.#post = post;
  }

  ask(
    listener: number,
    { addresses, commonName, hostNames, raw, serials }: PresentedCertificate,
  ): Promise<TlsDenial | undefined> {
    const question = this.#questions++;
    const presented = { addresses, commonName, hostNames, serials, der: raw };
    this.#post({ type: 'askDenial', listener, question, presented });
    return new Promise((resolve) => this.#asked.set(question, resolve));
  }

  answered(question: number, denial: TlsDenial | undefined): void {
    this.#asked.get(question)?.(denial);
    this.#asked.delete(question);
  }
}

function plainRefusal({ presented, ...rest }: TlsRefusal): TlsRefusal {
  if (presented === undefined) return { ...rest, presented };
  const { addresses, hostNames } = presented;
  return { ...rest, presented: { addresses, hostNames } };
}
