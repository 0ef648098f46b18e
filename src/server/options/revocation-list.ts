/**
 * Certificate revocation lists (RFC 5280 section 5), as far as etcd looks at them: the serial
 * numbers of what is revoked. When the next list is due, who signed this one and why something was
 * revoked is not looked at, in etcd neither; so OpenSSL's own check, which insists on the first
 * two, is not used. Why no ASN.1 library: docs/dependencies.md.
 */

/** DER tags of what a list is made of. */
const tagInteger = 0x02;
const tagBitString = 0x03;
const tagSequence = 0x30;
const tagUtcTime = 0x17;
const tagGeneralizedTime = 0x18;
const tagExtensions = 0xa0;

const pemBlock = /-----BEGIN X509 CRL-----([\s\S]*?)-----END X509 CRL-----/g;
const pemBegin = '-----BEGIN ';

/** What has been revoked. */
export class RevocationList {
  readonly #serials: ReadonlySet<string>;

  /** Of serial numbers as {@link normalized} writes them. */
  constructor(serials: ReadonlySet<string>) {
    this.#serials = serials;
  }

  /** One list in DER, or any number in PEM. Throws an Error that says what is wrong with it. */
  static parse(file: Uint8Array): RevocationList {
    const steps = parseSteps(file);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return new RevocationList(step.value);
    }
  }

  /** The same, in pieces of a millisecond or two with a `pause` after each. */
  static async parseInSlices(
    file: Uint8Array,
    pause: () => Promise<void>,
  ): Promise<RevocationList> {
    const steps = parseSteps(file);
    for (;;) {
      const step = steps.next();
      if (step.done === true) return new RevocationList(step.value);
      await pause();
    }
  }

  /** How many serial numbers are on it. */
  get size(): number {
    return this.#serials.size;
  }

  /** `serial` in hexadecimal, as node:crypto has it. */
  has(serial: string): boolean {
    return this.#serials.has(normalized(serial));
  }
}

/** Without sign and leading zeros: etcd compares magnitudes. */
function normalized(serial: string): string {
  return serial.toLowerCase().replace(/^-?0*/, '');
}

/** Entries between two steps. */
const entriesPerStep = 1000;

function* parseSteps(file: Uint8Array): Generator<void, ReadonlySet<string>> {
  const bytes = Buffer.from(file.buffer, file.byteOffset, file.byteLength);
  const serials = new Set<string>();
  if (!bytes.includes(pemBegin)) {
    yield* addSerials(bytes, serials);
    return serials;
  }
  const blocks = [...bytes.toString('latin1').matchAll(pemBlock)];
  if (blocks.length === 0) throw new Error('there is no complete "X509 CRL" in it');
  for (const [, base64 = ''] of blocks) {
    yield* addSerials(Buffer.from(base64, 'base64'), serials);
  }
  return serials;
}

/**
 * CertificateList ::= SEQUENCE { tbsCertList, signatureAlgorithm, signature }, and in the first
 * version, signature, issuer, thisUpdate, nextUpdate, revokedCertificates and extensions, of which
 * version, nextUpdate and the last two may be missing.
 */
function* addSerials(der: Buffer, serials: Set<string>): Generator<void> {
  const file = new DerReader(der, 0, der.length);
  const list = file.inside(tagSequence);
  file.expectEnd();
  const toBeSigned = list.inside(tagSequence);
  list.skip(tagSequence);
  list.skip(tagBitString);
  list.expectEnd();
  toBeSigned.skipIf(tagInteger);
  toBeSigned.skip(tagSequence);
  toBeSigned.skip(tagSequence);
  if (!toBeSigned.skipIf(tagUtcTime)) toBeSigned.skip(tagGeneralizedTime);
  if (!toBeSigned.skipIf(tagUtcTime)) toBeSigned.skipIf(tagGeneralizedTime);
  if (toBeSigned.tag === tagSequence) {
    const revoked = toBeSigned.inside(tagSequence);
    for (let count = 1; revoked.tag !== undefined; count += 1) {
      serials.add(revoked.inside(tagSequence).integer());
      if (count % entriesPerStep === 0) yield;
    }
  }
  toBeSigned.skipIf(tagExtensions);
  toBeSigned.expectEnd();
}

/** Walks over the values in a part of a buffer, one after the other. */
class DerReader {
  readonly #bytes: Buffer;
  #at: number;
  readonly #end: number;

  constructor(bytes: Buffer, start: number, end: number) {
    this.#bytes = bytes;
    this.#at = start;
    this.#end = end;
  }

  /** Of the value that comes next; undefined at the end. */
  get tag(): number | undefined {
    return this.#at < this.#end ? this.#bytes[this.#at] : undefined;
  }

  /** The value as a reader of its own. */
  inside(tag: number): DerReader {
    const start = this.#header(tag);
    return new DerReader(this.#bytes, start, this.#at);
  }

  skip(tag: number): void {
    this.#header(tag);
  }

  skipIf(tag: number): boolean {
    if (this.tag !== tag) return false;
    this.#header(tag);
    return true;
  }

  /** The magnitude of an INTEGER in hexadecimal. */
  integer(): string {
    const start = this.#header(tagInteger);
    if (start === this.#at) throw damaged(start);
    const hex = this.#bytes.toString('hex', start, this.#at);
    if ((this.#bytes[start] as number) < 0x80) return normalized(hex);
    return normalized(BigInt.asIntN(4 * hex.length, BigInt(`0x${hex}`)).toString(16));
  }

  expectEnd(): void {
    if (this.#at !== this.#end) throw damaged(this.#at);
  }

  /** Passes a value; returns where its contents begin, which is `#at` where they end. */
  #header(tag: number): number {
    const bytes = this.#bytes;
    const first = this.#at;
    if (this.tag !== tag || first + 2 > this.#end) throw damaged(first);
    let start = first + 2;
    let length = bytes[first + 1] as number;
    if (length >= 0x80) {
      // More than four bytes of length is more than any file has; none is not DER.
      const lengthBytes = length - 0x80;
      if (lengthBytes === 0 || lengthBytes > 4 || start + lengthBytes > this.#end) {
        throw damaged(first);
      }
      length = bytes.readUIntBE(start, lengthBytes);
      start += lengthBytes;
    }
    if (start + length > this.#end) throw damaged(first);
    this.#at = start + length;
    return start;
  }
}

function damaged(offset: number): Error {
  return new Error(`it is no revocation list, or damaged at byte ${offset}`);
}
