/** The start-up lines for a person. Logs are elsewhere (stderr), so these are all there is. */

import { etcdVersion, kvorumVersion, type ServerConfig } from '../../server/index.js';

export interface BannerFacts {
  readonly config: ServerConfig;
  /** Where clients really are served, ports filled in: `http://127.0.0.1:2379`. */
  readonly clientUrls: readonly string[];
  /** Absolute. */
  readonly dataDir: string;
  readonly isNewData: boolean;
  readonly readyMs: number;
  readonly runtime: string;
}

/** Four lines, each ending with a newline. */
export function banner(facts: BannerFacts): string {
  const { config, clientUrls } = facts;
  const url = clientUrls[0] ?? config.advertiseClientUrls[0] ?? '';
  const count = config.initialCluster.size;
  const members = count === 1 ? '1 member' : `${count} members`;
  const state = facts.isNewData ? `new, ${members}` : 'existing';
  const gap = '   ';
  return [
    ` kvorum ${kvorumVersion}, speaks etcd ${etcdVersion}${gap}${facts.runtime}`,
    `  client   ${clientUrls.join(', ')}${gap}(gRPC, health, metrics)`,
    `  data     ${facts.dataDir}${gap}(${state})`,
    `  ready in ${Math.round(facts.readyMs)} ms.  try:  ${etcdctlLine(url, config)}`,
    '',
  ].join('\n');
}

function etcdctlLine(url: string, config: ServerConfig): string {
  const endpoint = url.replace('//0.0.0.0:', '//127.0.0.1:').replace('//[::]:', '//[::1]:');
  const ca = config.clientAutoTls?.certPath ?? (config.clientTls && 'CA.pem');
  const tls = ca === undefined ? '' : ` --cacert=${ca}`;
  // What etcdctl asks by itself.
  const isDefault = /^http:\/\/(?:127\.0\.0\.1|localhost):2379$/.test(endpoint);
  return `etcdctl${isDefault ? '' : ` --endpoints=${endpoint}`}${tls} put hello world`;
}
