/**
 * gRPC metadata on the wire: base64 of `-bin` values and the percent coding of `grpc-message`
 * (gRPC over HTTP/2, "Custom-Metadata" and "Status-Message").
 */

const base64 = /^[A-Za-z0-9+/]*={0,2}$/;

/** Decodes one `-bin` value, padded or not; undefined if it is not base64. */
export function decodeBinary(value: string): Buffer | undefined {
  if (!base64.test(value) || value.replace(/=+$/, '').length % 4 === 1) return undefined;
  return Buffer.from(value, 'base64');
}

/** The first value of a `-bin` field, which may be a list separated by commas. */
export function firstBinary(value: string): Buffer | undefined {
  const comma = value.indexOf(',');
  return decodeBinary(comma < 0 ? value : value.slice(0, comma).trim());
}

/** True if each value of the list is base64. */
export function isBinaryList(value: string): boolean {
  if (!value.includes(',')) return decodeBinary(value) !== undefined;
  return value.split(',').every((part) => decodeBinary(part.trim()) !== undefined);
}

/** `-bin` values are sent without padding, as grpc-go does. */
export function encodeBinary(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    .toString('base64')
    .replace(/=+$/, '');
}

const plainMessage = /^[\x20-\x24\x26-\x7e]*$/;

/** `grpc-message`: UTF-8 with all but printable ASCII, and `%`, percent coded. */
export function encodeMessage(message: string): string {
  if (plainMessage.test(message)) return message;
  let coded = '';
  for (const byte of Buffer.from(message, 'utf8')) {
    coded +=
      byte >= 0x20 && byte <= 0x7e && byte !== 0x25
        ? String.fromCharCode(byte)
        : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return coded;
}

/** The reverse; sequences that are not `%XX` stay as they are, invalid UTF-8 is replaced. */
export function decodeMessage(coded: string): string {
  if (!coded.includes('%')) return Buffer.from(coded, 'latin1').toString('utf8');
  const bytes: number[] = [];
  for (let i = 0; i < coded.length; i++) {
    const hex = coded.slice(i + 1, i + 3);
    if (coded[i] === '%' && /^[0-9A-Fa-f]{2}$/.test(hex)) {
      bytes.push(Number.parseInt(hex, 16));
      i += 2;
    } else {
      bytes.push(coded.charCodeAt(i) & 0xff);
    }
  }
  return Buffer.from(bytes).toString('utf8');
}
