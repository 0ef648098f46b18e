/** What somebody may have meant. */

import { describe, expect, it } from 'vitest';
import { didYouMean } from '../../src/client/strict/index.js';

const known = ['endpoints', 'tls', 'credentials', 'timeoutMs', 'keepalive', 'retry'];

describe('did you mean', () => {
  it.each([
    ['endpoint', 'endpoints'],
    ['endpionts', 'endpoints'],
    ['Endpoints', 'endpoints'],
    ['hosts', 'endpoints'],
    ['timeout', 'timeoutMs'],
    ['timeout_ms', 'timeoutMs'],
    ['time-out-ms', 'timeoutMs'],
    ['keepAlive', 'keepalive'],
    ['tsl', 'tls'],
  ])('%s: %s', (word, meant) => {
    expect(didYouMean(word, known)).toBe(meant);
  });

  it.each(['color', 'x', '', 'constructor', '__proto__', 'toString'])('%s: nothing', (word) => {
    expect(didYouMean(word, known)).toBeUndefined();
  });

  it('names of other clients only mean what is there', () => {
    expect(didYouMean('hosts', ['ca', 'cert'])).toBeUndefined();
  });
});
