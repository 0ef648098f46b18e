/** Answers of the lease service, as etcdctl shows them; and for people. */

import { idToHex } from '../../common/index.js';
import {
  type FieldValue,
  jsonMessage,
  type MessageValue,
  messageBytes,
} from '../../proto/index.js';
import { CommandError, exit } from '../command/index.js';
import {
  fieldLine,
  headerFields,
  idLine,
  messageFields,
  messageJson,
  type Paint,
  type Shown,
} from '../print/index.js';

/** Leases are shown with all their digits. */
function idText(id: bigint): string {
  return idToHex(BigInt.asUintN(64, id)).padStart(16, '0');
}

function integer(value: FieldValue | undefined): bigint {
  return typeof value === 'bigint' ? value : 0n;
}

/** An answer, and what all of them have in common. */
class Answer {
  readonly fields: MessageValue;

  constructor(
    readonly bytes: Buffer,
    readonly type: string,
    readonly hex: boolean,
  ) {
    this.fields = messageFields(bytes, type);
  }

  integer(name: string): bigint {
    return integer(this.fields[name]);
  }

  get header(): MessageValue | undefined {
    return this.fields.header as MessageValue | undefined;
  }

  /** etcd's client puts the header into its own answers, so their JSON has its fields as its own. */
  headerJson(): object {
    return (messageJson(this.bytes, this.type).header ?? {}) as object;
  }

  headerLines(): string {
    return headerFields(this.header, this.hex);
  }

  /** For the same reason etcdctl takes them for a header. */
  headerBytes(): Buffer {
    return messageBytes(this.header ?? {}, jsonMessage('etcdserverpb.ResponseHeader'));
  }

  idLine(id: bigint): string {
    return idLine('ID', id, this.hex, 16);
  }

  /** What is the same in all formats but some. */
  shown(own: Omit<Shown, 'type' | 'bytes'>): Shown {
    return {
      ...{ type: this.type, bytes: this.bytes },
      protobuf: () => this.headerBytes(),
      ...own,
    };
  }
}

/** Of `lease grant`. */
export function grantShown(bytes: Buffer, hex: boolean): Shown {
  const answer = new Answer(bytes, 'etcdserverpb.LeaseGrantResponse', hex);
  const [id, ttl] = [answer.integer('ID'), answer.integer('TTL')];
  return answer.shown({
    simple: () => `lease ${idText(id)} granted with TTL(${ttl}s)\n`,
    pretty: (paint) => `lease ${paint.bold(idText(id))} granted, for ${secondsText(ttl)}\n`,
    json: () => ({
      ...answer.headerJson(),
      ...{ ID: id, TTL: ttl, Error: answer.fields.error ?? '' },
    }),
    fields: () => answer.headerLines() + answer.idLine(id) + fieldLine('TTL', ttl),
  });
}

/** Of `lease revoke`. */
export function revokeShown(bytes: Buffer, id: bigint, hex: boolean): Shown {
  const answer = new Answer(bytes, 'etcdserverpb.LeaseRevokeResponse', hex);
  return answer.shown({
    simple: () => `lease ${idText(id)} revoked\n`,
    json: () => messageJson(bytes, answer.type),
    protobuf: () => {
      // etcdctl can't encode just this one, and shows Go's struct of it after these words.
      const what = 'marshal unsupported for type *clientv3.LeaseRevokeResponse';
      throw new CommandError(what, exit.badFeature);
    },
  });
}

/** Of `lease keep-alive`: one of its answers. */
export function keepAliveShown(bytes: Buffer, hex: boolean): Shown {
  const answer = new Answer(bytes, 'etcdserverpb.LeaseKeepAliveResponse', hex);
  const [id, ttl] = [answer.integer('ID'), answer.integer('TTL')];
  return answer.shown({
    simple: () => `lease ${idText(id)} keepalived with TTL(${ttl})\n`,
    pretty: (paint) => `lease ${paint.bold(idText(id))} has ${secondsText(ttl)} again\n`,
    json: () => ({ ...answer.headerJson(), ID: id, TTL: ttl }),
    fields: () => answer.headerLines() + answer.idLine(id) + fieldLine('TTL', ttl),
  });
}

/** Of `lease timetolive`; `keys`: they were asked for. */
export function timeToLiveShown(bytes: Buffer, keys: boolean, hex: boolean): Shown {
  const answer = new Answer(bytes, 'etcdserverpb.LeaseTimeToLiveResponse', hex);
  const [id, ttl] = [answer.integer('ID'), answer.integer('TTL')];
  const granted = answer.integer('grantedTTL');
  const attached = (answer.fields.keys ?? []) as readonly Buffer[];
  return answer.shown({
    simple: () => {
      if (granted === 0n && ttl === -1n) return `lease ${idText(id)} already expired\n`;
      const text = `lease ${idText(id)} granted with TTL(${granted}s), remaining(${ttl}s)`;
      if (!keys) return `${text}\n`;
      const list = Buffer.concat(
        attached.flatMap((key, at) => (at === 0 ? [key] : [Buffer.from(' '), key])),
      );
      return Buffer.concat([Buffer.from(`${text}, attached keys([`), list, Buffer.from('])\n')]);
    },
    pretty: (paint) => prettyTimeToLive({ id, ttl, granted, attached }, paint),
    json: () => ({
      ...answer.headerJson(),
      ...{ id, ttl, 'granted-ttl': granted, keys: attached.length === 0 ? null : attached },
    }),
    fields: () =>
      [
        answer.headerLines() + answer.idLine(id) + fieldLine('TTL', ttl),
        fieldLine('GrantedTTL', granted),
        ...attached.map((key) => fieldLine('Key', key)),
      ].join(''),
  });
}

/** Of `lease list`. */
export function leasesShown(bytes: Buffer, hex: boolean): Shown {
  const answer = new Answer(bytes, 'etcdserverpb.LeaseLeasesResponse', hex);
  const leases = (answer.fields.leases ?? []) as readonly MessageValue[];
  const ids = leases.map((lease) => integer(lease.ID));
  return answer.shown({
    simple: () => {
      return `found ${ids.length} leases\n${ids.map((id) => `${idText(id)}\n`).join('')}`;
    },
    json: () => ({
      ...answer.headerJson(),
      leases: ids.length === 0 ? null : ids.map((id) => ({ id })),
    }),
    fields: () => answer.headerLines() + ids.map((id) => answer.idLine(id)).join(''),
  });
}

interface TimeToLive {
  readonly id: bigint;
  readonly ttl: bigint;
  readonly granted: bigint;
  readonly attached: readonly Buffer[];
}

function prettyTimeToLive({ id, ttl, granted, attached }: TimeToLive, paint: Paint): string {
  const name = paint.bold(idText(id));
  if (ttl < 0n) return `lease ${name} ${paint.red('has expired, or never was')}\n`;
  // A third is what its holder has renewed it by.
  const left = secondsText(ttl);
  const shown = 3n * ttl < granted ? paint.yellow(left) : paint.green(left);
  const keys = attached.map((key) => `  ${key.toString('utf8')}\n`).join('');
  return `lease ${name}: ${shown} left of ${secondsText(granted)}\n${keys}`;
}

/** `90 s` is `1 min 30 s`. */
export function secondsText(seconds: bigint): string {
  const units = [
    [86_400n, 'd'],
    [3_600n, 'h'],
    [60n, 'min'],
    [1n, 's'],
  ] as const;
  let rest = seconds;
  const parts: string[] = [];
  for (const [size, name] of units) {
    if (rest < size) continue;
    parts.push(`${rest / size} ${name}`);
    rest %= size;
  }
  return parts.length === 0 ? '0 s' : parts.slice(0, 2).join(' ');
}
