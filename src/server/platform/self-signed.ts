/**
 * Certificates that sign themselves, for --auto-tls. The only import of node-forge, which writes
 * them; key and signature are made by node:crypto, the slow part of it on another thread.
 */

import { generateKeyPair, randomBytes, sign } from 'node:crypto';
import { createRequire } from 'node:module';
import { promisify } from 'node:util';
import type Forge from 'node-forge';
import { plainAddress } from './tls-presented.js';

export interface SelfSignedOptions {
  /** Host names and IP addresses. */
  readonly hosts: readonly string[];
  /** Milliseconds since the Unix epoch. */
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly usage: 'server' | 'serverAndClient';
}

/** PEM. */
export interface SelfSigned {
  readonly cert: string;
  readonly key: string;
}

const keyBits = 2048;
/** Kinds of names in a certificate (RFC 5280). */
const dnsName = 2;
const ipAddress = 7;

/** Makes a key, and a certificate of it that a client may also take as its authority. */
export async function makeSelfSigned(options: SelfSignedOptions): Promise<SelfSigned> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('rsa', {
    modulusLength: keyBits,
    publicKeyEncoding: { type: 'spki', format: 'pem' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const { pki } = forge();
  const certificate = pki.createCertificate();
  certificate.publicKey = pki.publicKeyFromPem(publicKey);
  // Positive, and never of fewer bytes.
  certificate.serialNumber = `4${randomBytes(16).toString('hex').slice(1)}`;
  certificate.validity.notBefore = new Date(options.notBeforeMs);
  certificate.validity.notAfter = new Date(options.notAfterMs);
  const names = [{ name: 'organizationName', value: 'kvorum' }];
  certificate.setSubject(names);
  certificate.setIssuer(names);
  const clientAuth = options.usage === 'serverAndClient';
  certificate.setExtensions([
    { name: 'basicConstraints', cA: true, critical: true },
    { name: 'keyUsage', digitalSignature: true, keyEncipherment: true, keyCertSign: true },
    { name: 'extKeyUsage', serverAuth: true, clientAuth },
    { name: 'subjectAltName', altNames: options.hosts.map(alternativeName) },
  ]);
  signNatively(certificate, privateKey);
  return { cert: pki.certificateToPem(certificate).replaceAll('\r', ''), key: privateKey };
}

function alternativeName(host: string) {
  const ip = plainAddress(host);
  return ip === undefined ? { type: dnsName, value: host } : { type: ipAddress, ip };
}

/** node-forge hashes and signs in JavaScript, which takes a tenth of a second. */
function signNatively(certificate: Forge.pki.Certificate, privateKey: string): void {
  let signed = '';
  const collector = {
    algorithm: 'sha256',
    update(bytes: string) {
      signed = bytes;
    },
  };
  const signer = {
    sign: () => sign('sha256', Buffer.from(signed, 'latin1'), privateKey).toString('latin1'),
  };
  // It calls nothing else of the two.
  certificate.sign(
    signer as unknown as Forge.pki.rsa.PrivateKey,
    collector as unknown as Forge.md.MessageDigest,
  );
}

/** Loaded when there is a certificate to be made. */
function forge(): typeof Forge {
  return createRequire(import.meta.url)('node-forge') as typeof Forge;
}
