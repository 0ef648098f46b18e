/**
 * Whether a client certificate is for where the client comes from: what etcd asks of other members
 * (--peer-skip-client-san-verification turns it off). One that names no host is good everywhere.
 */

import type { TlsPresented } from '../../common/index.js';
import { plainAddress } from './tls-presented.js';

/** The names of this machine's resolver. Both reject if there is no answer. */
export interface HostNames {
  /** All names of an IP address. */
  namesOf(address: string): Promise<readonly string[]>;
  /** All addresses of a name. */
  addressesOf(name: string): Promise<readonly string[]>;
}

/** Names of a certificate that are asked for, each of which takes the time of an answer. */
const namesAskedMax = 32;

/**
 * Why `presented` is not for a client that comes from `address`; undefined if it is. A promise only
 * if somebody has to be asked; it never rejects.
 */
export function addressProblem(
  presented: TlsPresented,
  address: string,
  names: HostNames,
): string | undefined | Promise<string | undefined> {
  const { addresses, hostNames } = presented;
  if (addresses.length === 0 && hostNames.length === 0) return undefined;
  const from = plainAddress(address) ?? address;
  if (addresses.length > 0 && presented.isFor(from)) return undefined;
  if (hostNames.length === 0) {
    return `x509: certificate is valid for ${addresses.join(', ')}, not ${from}`;
  }
  return hostNameProblem(hostNames, from, names);
}

async function hostNameProblem(
  hostNames: readonly string[],
  from: string,
  names: HostNames,
): Promise<string | undefined> {
  const wanted = hostNames.map((name) => name.toLowerCase());
  let failure: unknown;
  const found = await names.namesOf(from).catch((error: unknown) => {
    failure = error;
    return [];
  });
  for (const name of found) {
    const plain = name.toLowerCase().replace(/\.$/, '');
    const isWanted = wanted.some((one) =>
      one.startsWith('*.') ? plain.endsWith(one.slice(1)) : plain === one,
    );
    if (isWanted) return undefined;
  }
  for (const name of wanted.filter((one) => !one.startsWith('*.')).slice(0, namesAskedMax)) {
    const addresses = await names.addressesOf(name).catch((error: unknown) => {
      failure = error;
      return [];
    });
    if (addresses.some((address) => (plainAddress(address) ?? address) === from)) return undefined;
  }
  const reason = `tls: "${from}" does not match any of DNSNames ${JSON.stringify(hostNames)}`;
  if (failure === undefined) return reason;
  return `${reason} (${failure instanceof Error ? failure.message : String(failure)})`;
}
