/** Certificates and keys, looked at when they are given. Keys are in no error. */

import { type EtcdClientError, invalidOption } from '../errors.js';
import { anything, aText, checkOptions, described, flag, type Shape } from '../strict/index.js';
import { secureContextOf } from './network-node.js';
import type { ClientTls } from './types.js';

const shape: Shape<ClientTls> = {
  ca: anything,
  cert: anything,
  key: anything,
  serverName: aText,
  insecureSkipVerify: flag,
};

/** Throws INVALID_OPTION unless certificates can be made of it. */
export function checkTls(tls: ClientTls): void {
  checkOptions('tls', tls, shape);
  for (const name of ['ca', 'cert', 'key'] as const) {
    const value = tls[name];
    if (value !== undefined) checkPem(name, value);
  }
  if ((tls.cert === undefined) !== (tls.key === undefined)) {
    const [there, missing] = tls.cert === undefined ? ['key', 'cert'] : ['cert', 'key'];
    throw invalidOption(`tls.${there} is given without tls.${missing}: it takes both or none`);
  }
  try {
    secureContextOf(tls);
  } catch (error) {
    throw invalidOption(`tls: the certificates can't be used: ${messageOf(error)}`);
  }
}

function checkPem(name: 'ca' | 'cert' | 'key', value: unknown): void {
  if (typeof value !== 'string' && !(value instanceof Uint8Array)) {
    throw invalidOption(`tls.${name} must be PEM, as text or bytes, not ${described(value)}`);
  }
  const text = typeof value === 'string' ? value : Buffer.from(value).toString('latin1');
  if (!text.includes('-----BEGIN ')) throw noPem(name, value, text);
  const isKey = /-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(text);
  if (name === 'key' && !isKey) throw invalidOption('tls.key has no private key in it');
  if (name !== 'key' && !text.includes('-----BEGIN CERTIFICATE-----')) {
    const hint = isKey ? '; a private key is: are cert and key exchanged?' : '';
    throw invalidOption(`tls.${name} has no certificate in it${hint}`);
  }
}

function noPem(name: string, value: unknown, text: string): EtcdClientError {
  const path = text.trim();
  const isPath = path.length < 1024 && /^[^\n\0]+$/.test(path) && /[./\\]/.test(path);
  if (typeof value === 'string' && isPath) {
    const quoted = JSON.stringify(path);
    return invalidOption(
      `tls.${name} is the PEM itself, and this is a path: give readFileSync(${quoted})`,
    );
  }
  if (typeof value !== 'string') {
    return invalidOption(`tls.${name} is not PEM; bytes of DER must be converted`);
  }
  return invalidOption(`tls.${name} is not PEM: it has no "-----BEGIN"`);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
