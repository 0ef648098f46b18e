/** --enable-distributed-tracing and what belongs to it. */

import type { NetworkAddress } from '../../common/index.js';
import type { Flags } from './flags.js';
import { quote, UsageError } from './usage-error.js';

export interface TracingConfig {
  readonly collector: NetworkAddress;
  readonly serviceName: string;
  /** '': none. */
  readonly instanceId: string;
  /** Share of the calls that nobody traces yet; one that its client traces is traced in any case. */
  readonly share: number;
}

const million = 1_000_000;

/** Undefined: no traces. Throws {@link UsageError}. */
export function readTracing(flags: Flags): TracingConfig | undefined {
  if (!flags.bool('enable-distributed-tracing')) return undefined;
  return {
    collector: addressOf(flags.text('distributed-tracing-address')),
    serviceName: flags.text('distributed-tracing-service-name'),
    instanceId: flags.text('distributed-tracing-instance-id'),
    share: flags.number('distributed-tracing-sampling-rate') / million,
  };
}

function addressOf(text: string): NetworkAddress {
  const match = /^(?:\[([\da-fA-F:.%\w]+)\]|([^[\]:/]+)):(\d{1,5})$/.exec(text);
  const host = match?.[1] ?? match?.[2] ?? '';
  const port = Number(match?.[3] ?? 0);
  if (host !== '' && port > 0 && port < 65_536) return { host, port };
  throw new UsageError(
    `invalid value ${quote(text)} for flag --distributed-tracing-address: must be host:port`,
  );
}
