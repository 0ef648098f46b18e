/**
 * Certificates that sign themselves, for --auto-tls. The only import of node-forge, which writes
 * them; key and signature are made by node:crypto. That of node-forge is slow, and RSA only.
 */

import { generateKeyPair, randomBytes, sign, X509Certificate } from 'node:crypto';
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

/** Kinds of names in a certificate (RFC 5280). */
const dnsName = 2;
const ipAddress = 7;

/** ECDSA with SHA-256 (RFC 5758); unlike those for RSA it has no parameters. */
const ecdsaWithSha256 = '1.2.840.10045.4.3.2';

/** Makes a key, and a certificate of it that a client may also take as its authority. */
export async function makeSelfSigned(options: SelfSignedOptions): Promise<SelfSigned> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('ec', {
    namedCurve: 'P-256',
    publicKeyEncoding: { type: 'spki', format: 'der' },
    privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
  });
  const { asn1 } = forge();
  const body = toBeSigned(options, publicKey);
  const signature = sign('sha256', Buffer.from(asn1.toDer(body).getBytes(), 'latin1'), privateKey);
  const { BITSTRING, SEQUENCE } = asn1.Type;
  const unusedBits = '\0';
  const der = asn1.toDer(
    value(SEQUENCE, [
      body,
      algorithm(),
      value(BITSTRING, unusedBits + signature.toString('latin1')),
    ]),
  );
  return { cert: pemOf(der.getBytes()), key: privateKey };
}

/** What is signed. node-forge knows keys of RSA only, so a key of ours takes the place of one. */
function toBeSigned(options: SelfSignedOptions, publicKey: Buffer): Forge.asn1.Asn1 {
  const { asn1, jsbn, pki } = forge();
  const certificate = pki.createCertificate();
  const one = new jsbn.BigInteger('1');
  certificate.publicKey = pki.setRsaPublicKey(one, one); // replaced, see below
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
    { name: 'keyUsage', digitalSignature: true, keyCertSign: true, critical: true },
    { name: 'extKeyUsage', serverAuth: true, clientAuth },
    { name: 'subjectAltName', altNames: options.hosts.map(alternativeName) },
  ]);
  // Replaced by our own as well, but it must be there.
  Object.assign(certificate.siginfo, { algorithmOid: ecdsaWithSha256 });
  const body = (pki as unknown as Unlisted).getTBSCertificate(certificate);
  // Version, serial number, algorithm, issuer, validity, subject, key, extensions (RFC 5280, 4.1).
  const [version, serial, , issuer, validity, subject, , ...rest] = body.value as AsnList;
  const ours = asn1.fromDer(publicKey.toString('latin1'));
  const parts = [version, serial, algorithm(), issuer, validity, subject, ours, ...rest];
  return value(asn1.Type.SEQUENCE, parts as AsnList);
}

type AsnList = Forge.asn1.Asn1[];

/** Exported, but not in its types. */
interface Unlisted {
  getTBSCertificate(certificate: Forge.pki.Certificate): Forge.asn1.Asn1;
}

function algorithm(): Forge.asn1.Asn1 {
  const { OID, SEQUENCE } = forge().asn1.Type;
  return value(SEQUENCE, [value(OID, forge().asn1.oidToDer(ecdsaWithSha256).getBytes())]);
}

function value(type: Forge.asn1.Type, of: string | AsnList): Forge.asn1.Asn1 {
  const { asn1 } = forge();
  return asn1.create(asn1.Class.UNIVERSAL, type, typeof of !== 'string', of);
}

function alternativeName(host: string) {
  const ip = plainAddress(host);
  return ip === undefined ? { type: dnsName, value: host } : { type: ipAddress, ip };
}

function pemOf(der: string): string {
  return new X509Certificate(Buffer.from(der, 'latin1')).toString();
}

/** Loaded when there is a certificate to be made. */
function forge(): typeof Forge {
  return createRequire(import.meta.url)('node-forge') as typeof Forge;
}
