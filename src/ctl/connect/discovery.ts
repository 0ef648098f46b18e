/**
 * --discovery-srv: the endpoints that DNS names, as etcd's client finds them. Two services are
 * asked for, `_etcd-client-ssl._tcp` with TLS and `_etcd-client._tcp` without; one is enough.
 */

import type { SrvTarget } from '../../common/index.js';
import { CommandError, type CtlIo, exit, type GlobalValues } from '../command/index.js';

/**
 * The flags with the endpoints of --discovery-srv in the place of others; as they are without it.
 * Rejects with CommandError if DNS has neither service.
 */
export async function withDiscovery(global: GlobalValues, io: CtlIo): Promise<GlobalValues> {
  const domain = global['discovery-srv'];
  if (domain === '') return global;
  const suffix = global['discovery-srv-name'] === '' ? '' : `-${global['discovery-srv-name']}`;
  const secure = await look(`_etcd-client-ssl${suffix}._tcp.${domain}`, 'https', io);
  const plain = await look(`_etcd-client${suffix}._tcp.${domain}`, 'http', io);
  if (typeof secure === 'string' && typeof plain === 'string') {
    throw new CommandError(`dns lookup errors: ${secure} and ${plain}`, exit.error);
  }
  const found = [secure, plain].flatMap((each) => (typeof each === 'string' ? [] : each));
  const endpoints = global['insecure-discovery'] ? found : found.filter((url) => isSecure(url, io));
  // As etcd: if nothing is left, --endpoints counts.
  return endpoints.length === 0 ? global : { ...global, endpoints };
}

/** The endpoints of one service, or why there are none. */
async function look(name: string, scheme: string, io: CtlIo): Promise<readonly string[] | string> {
  if (io.resolveSrv === undefined) return `lookup ${name}: DNS can't be asked here`;
  try {
    const targets = await io.resolveSrv(name);
    return targets.map((target) => urlTo(scheme, target));
  } catch (error) {
    const { code } = error as { readonly code?: unknown };
    const missing = code === 'ENOTFOUND' || code === 'ENODATA';
    return `lookup ${name}: ${missing ? 'no such host' : String(error)}`;
  }
}

function urlTo(scheme: string, { host, port }: SrvTarget): string {
  return `${scheme}://${host.includes(':') ? `[${host}]` : host}:${port}`;
}

function isSecure(url: string, io: CtlIo): boolean {
  if (!url.startsWith('http://')) return true;
  io.stderr(`ignoring discovered insecure endpoint ${JSON.stringify(url)}\n`);
  return false;
}
