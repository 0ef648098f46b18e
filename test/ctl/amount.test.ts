import { expect, it } from 'vitest';
import { amountText, bytesText } from '../../src/ctl/command/index.js';

// What go-humanize 1.0.1 makes of them.
it.each([
  [0, '0 B'],
  [9, '9 B'],
  [999, '999 B'],
  [1_000, '1.0 kB'],
  [9_949, '9.9 kB'],
  [9_950, '10 kB'],
  [998_500, '998 kB'],
  [999_500, '1000 kB'],
  [1_000_000, '1.0 MB'],
  [8_589_934_592, '8.6 GB'],
  [12_300_000_000, '12 GB'],
])('%d bytes are %s', (bytes, text) => {
  expect(bytesText(bytes)).toBe(text);
  expect(amountText(bytes, 'bytes')).toBe(text);
});

it('counts in thousands', () => {
  expect(amountText(1_234_567.4, 'keys')).toBe('1,234,567 keys');
});
