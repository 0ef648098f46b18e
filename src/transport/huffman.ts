/**
 * The Huffman code of RFC 7541 appendix B. The code is canonical (codes of one length ascend with
 * the symbol), so the 257 lengths are all of it. Decoding walks a state machine four bits at a
 * time: 256 inner nodes of the code tree x 16, one table look-up for half a byte, at most one
 * symbol each, since no code is shorter than five bits.
 */

/** Code length of each symbol, as a base-36 digit; the last is the end-of-string symbol. */
const codeLengths =
  'dnsssssssoussussssssssusssssssss6aacd68baa8b8666555666666678f6ca' +
  'd67777777777777777777777878djde6f56565666577666567655677777fbeds' +
  'kmkkmmmnmnnnnnonoomnonnnnlmnmnnomlkmmnnlnmmolmnnllmlnmnnkmmmnmmn' +
  'qqkjmnmpqqqrrqopjlqrrqrollqqsrrrkoklmllnmmppooqnqrqqrrrrrsrrrrrq' +
  'u';

const endOfString = 256;
const codes = new Uint32Array(257);
const lengths = new Uint8Array(257);

// Transition: next state in bits 0-7, symbol in 8-15, then these flags.
const emits = 0x1_0000;
const fails = 0x2_0000;
const transitions = new Int32Array(256 * 16);
/** 1 for a state in which a string may end: fewer than 8 bits, all ones, since the last symbol. */
const accepting = new Uint8Array(256);

buildCodes();
buildTransitions();

/** Bytes that `text` (latin1) takes when Huffman coded. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += lengths[text.charCodeAt(i) & 0xff] as number;
  return (bits + 7) >>> 3;
}

/** Writes the code of `text` (latin1) at `at` and returns the end; there must be room. */
export function huffmanEncode(text: string, out: Buffer, at: number): number {
  let position = at;
  let pending = 0; // never more than 7 bits when a symbol is added
  let pendingBits = 0;
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 0xff;
    let left = lengths[symbol] as number;
    const code = codes[symbol] as number;
    while (left > 0) {
      const take = Math.min(left, 8 - pendingBits);
      const part = (code >>> (left - take)) & ((1 << take) - 1);
      pending = (pending << take) | part;
      pendingBits += take;
      left -= take;
      if (pendingBits === 8) {
        out[position++] = pending;
        pending = 0;
        pendingBits = 0;
      }
    }
  }
  if (pendingBits > 0) {
    const fill = 8 - pendingBits;
    out[position++] = (pending << fill) | ((1 << fill) - 1);
  }
  return position;
}

/**
 * Decodes `from[start, end)` into `out` from 0 on and returns the number of bytes, or -1 if the
 * code is invalid: the end-of-string symbol, or padding that is too long or not all ones. `out`
 * needs room for 8/5 of the input.
 */
export function huffmanDecode(from: Buffer, start: number, end: number, out: Buffer): number {
  let state = 0;
  let length = 0;
  for (let i = start; i < end; i++) {
    const byte = from[i] as number;
    const high = transitions[(state << 4) | (byte >>> 4)] as number;
    if ((high & emits) !== 0) out[length++] = high >>> 8;
    const low = transitions[((high & 0xff) << 4) | (byte & 0xf)] as number;
    if ((low & emits) !== 0) out[length++] = low >>> 8;
    if (((high | low) & fails) !== 0) return -1;
    state = low & 0xff;
  }
  return accepting[state] === 1 ? length : -1;
}

function buildCodes(): void {
  for (let symbol = 0; symbol <= endOfString; symbol++) {
    lengths[symbol] = Number.parseInt(codeLengths.charAt(symbol), 36);
  }
  let code = 0;
  for (let length = 1; length <= 30; length++) {
    for (let symbol = 0; symbol <= endOfString; symbol++) {
      if (lengths[symbol] === length) codes[symbol] = code++;
    }
    code = code * 2;
  }
}

function buildTransitions(): void {
  // children[2 * node + bit]: an inner node, or ~symbol of a leaf.
  const children: number[] = [0, 0];
  const newNode = (): number => {
    children.push(0, 0);
    return children.length / 2 - 1;
  };
  for (let symbol = 0; symbol <= endOfString; symbol++) {
    let node = 0;
    for (let bit = (lengths[symbol] as number) - 1; bit >= 0; bit--) {
      const slot = node * 2 + (((codes[symbol] as number) >>> bit) & 1);
      if (bit === 0) {
        children[slot] = ~symbol;
      } else {
        if (children[slot] === 0) children[slot] = newNode();
        node = children[slot] as number;
      }
    }
  }
  for (let state = 0; state < 256; state++) {
    for (let nibble = 0; nibble < 16; nibble++) {
      transitions[(state << 4) | nibble] = walkNibble(children, state, nibble);
    }
  }
  let node = 0;
  for (let depth = 0; depth < 8; depth++) {
    accepting[node] = 1;
    node = children[node * 2 + 1] as number;
  }
}

function walkNibble(children: readonly number[], state: number, nibble: number): number {
  let node = state;
  let flags = 0;
  for (let bit = 3; bit >= 0; bit--) {
    const next = children[node * 2 + ((nibble >>> bit) & 1)] as number;
    if (next >= 0) {
      node = next;
    } else if (~next === endOfString) {
      return fails;
    } else {
      flags = emits | (~next << 8);
      node = 0;
    }
  }
  return flags | node;
}
