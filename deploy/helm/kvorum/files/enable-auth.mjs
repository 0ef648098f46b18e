/**
 * Makes the user root with a password, and turns authentication on. Where it is on already, nothing
 * is done. Status 0: it is on, and root has this password.
 *
 * KVORUM_URL: a client URL. KVORUM_ROOT_PASSWORD. KVORUM_TLS_DIR: tls.crt, tls.key, ca.crt.
 */

import { readFileSync } from 'node:fs';
import { request as plain } from 'node:http';
import { request as secure } from 'node:https';
import { join } from 'node:path';

const { KVORUM_URL: url, KVORUM_ROOT_PASSWORD: password, KVORUM_TLS_DIR: dir } = process.env;
const answerMs = 10_000;
/** Of gRPC: what is to be made is there, and what is asked for is refused. */
const unauthenticated = 16;

const tls = dir === undefined ? {} : tlsOf((name) => readFileSync(join(dir, name)));

function tlsOf(read) {
  return { ca: read('ca.crt'), cert: read('tls.crt'), key: read('tls.key') };
}

/** The answer to a call through the JSON gateway; an error has `code` and `message`. */
function call(path, body) {
  const request = new URL(url).protocol === 'https:' ? secure : plain;
  const options = { ...tls, method: 'POST', signal: AbortSignal.timeout(answerMs) };
  return new Promise((resolve, reject) => {
    const asked = request(new URL(`/v3/auth/${path}`, url), options, (answer) => {
      let text = '';
      answer.setEncoding('utf8').on('data', (chunk) => {
        text += chunk;
      });
      answer.once('end', () => {
        try {
          resolve(JSON.parse(text));
        } catch {
          reject(new Error(`${path}: ${answer.statusCode} ${text}`));
        }
      });
      answer.once('error', reject);
    });
    asked.once('error', reject);
    asked.end(JSON.stringify(body));
  });
}

/** Fails unless it was done, or had been done before. */
async function done(path, body, before) {
  const { code, message } = await call(path, body);
  if (code !== undefined && !before.test(message)) throw new Error(`${path}: ${message}`);
}

async function isOn() {
  const { enabled, code, message } = await call('status', {});
  // Some versions tell it only to those who have a token.
  if (code === unauthenticated) return true;
  if (code !== undefined) throw new Error(`status: ${message}`);
  return enabled === true;
}

if (!url || !password) throw new Error('KVORUM_URL and KVORUM_ROOT_PASSWORD are needed');
if (!(await isOn())) {
  await done('user/add', { name: 'root', password }, /user name already exists/);
  await done('role/add', { name: 'root' }, /role name already exists/);
  await done('user/grant', { user: 'root', role: 'root' }, /^$/);
  await done('enable', {}, /^$/);
  process.stdout.write('authentication is on\n');
}
const { token, message } = await call('authenticate', { name: 'root', password });
if (token === undefined) throw new Error(`root cannot log in: ${message}`);
process.stdout.write('root can log in\n');
