/** The line of `kvorum join`: which flags are for the client, and which for the server. */

import { describe, expect, it } from 'vitest';
import { readJoinLine } from '../../src/cli/join/line.js';

describe('the line of kvorum join', () => {
  it('has flags of a client and of a server, in any order', () => {
    const words = [
      ...['https://a:2379,https://b:2379', '--name', 'm4', '--cacert', 'ca.pem'],
      ...['--insecure-skip-tls-verify', '--data-dir=/d', '--user=root:x', '--read-only-member'],
    ];
    expect(readJoinLine(words)).toEqual({
      endpoints: ['https://a:2379', 'https://b:2379'],
      client: ['--cacert', 'ca.pem', '--insecure-skip-tls-verify', '--user=root:x'],
      server: ['--name', 'm4', '--data-dir=/d', '--read-only-member'],
      help: false,
    });
  });

  it('refuses what only the cluster can say, and a line without a cluster', () => {
    for (const flag of ['initial-cluster', 'initial-cluster-state', 'force-new-cluster']) {
      expect(() => readJoinLine(['http://a', `--${flag}=x`])).toThrow(`--${flag} makes no sense`);
    }
    expect(() => readJoinLine([])).toThrow('needs the client URL');
    expect(() => readJoinLine(['--name', 'm4'])).toThrow('needs the client URL');
    expect(() => readJoinLine(['http://a', '--cacert'])).toThrow('needs an argument');
    expect(readJoinLine(['--help']).help).toBe(true);
  });
});
