import { expect, it } from 'vitest';
import { maskOutput } from './mask.js';

it('hides by how many blanks etcdctl pads short ids', () => {
  const long = new Map([
    ['a234567890123456', '<m1>'],
    ['b234567890123456', '<cluster>'],
  ]);
  const short = new Map([
    ['a23456789012345', '<m1>'],
    ['b23456789012345', '<cluster>'],
  ]);
  const said = 'Member a234567890123456 added to cluster b234567890123456';
  const padded = 'Member  a23456789012345 added to cluster  b23456789012345';
  expect(maskOutput(said, long)).toBe('Member <m1> added to cluster <cluster>');
  expect(maskOutput(padded, short)).toBe('Member <m1> added to cluster <cluster>');
});

it('leaves an id in the wrong place to be seen', () => {
  const known = new Map([['b234567890123456', '<cluster>']]);
  expect(maskOutput('Member b234567890123456 removed', known)).toBe('Member <cluster> removed');
});
