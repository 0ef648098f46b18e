/**
 * The health check of the image: status 0 if the server of this container answers /readyz. Where it
 * listens is said by its flags or variables. It is asked on --listen-metrics-urls if there are any:
 * the client port may want certificates.
 */

import { readFileSync } from 'node:fs';

/** The server is the first process of its container. */
const pid = process.argv[2] ?? '1';
const answerMs = 4_000;

const argv = readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');

/** What a flag, or its variable, says. */
function setting(flag) {
  const at = argv.findIndex((each) => each.replace(/^--?/, '').split('=')[0] === flag);
  if (at >= 0) return argv[at].includes('=') ? argv[at].replace(/^[^=]*=/, '') : argv[at + 1];
  return process.env[`ETCD_${flag.toUpperCase().replaceAll('-', '_')}`];
}

const urls = setting('listen-metrics-urls') || setting('listen-client-urls') || '';
const url = new URL(urls.split(',')[0] || 'http://127.0.0.1:2379');
if (url.hostname === '0.0.0.0') url.hostname = '127.0.0.1';
if (url.hostname === '[::]') url.hostname = '[::1]';

try {
  const signal = AbortSignal.timeout(answerMs);
  const answer = await fetch(new URL('/readyz', url), { signal });
  process.stdout.write(`${await answer.text()}\n`);
  process.exitCode = answer.ok ? 0 : 1;
} catch (error) {
  process.stdout.write(`${url}: ${error.cause?.message ?? error.message}\n`);
  process.exitCode = 1;
}
