import { describe, expect, it } from 'vitest';
import { loggerTo } from '../../src/server/platform/logger-pino.js';

function setUp(format: 'json' | 'console', level: 'debug' | 'info' | 'error' = 'info') {
  const lines: string[] = [];
  let closed: (() => void) | undefined;
  const sink = {
    write: (line: string) => lines.push(line),
    flushSync() {
      throw new Error('the reader is gone');
    },
    end() {
      closed?.();
    },
    once(event: string, listener: () => void) {
      if (event === 'close') closed = listener;
    },
  };
  const clock = { wallMs: () => Date.UTC(2026, 10, 23, 11, 15, 28, 7) };
  return { lines, log: loggerTo([sink], { level, format, clock }) };
}

describe('the logger', () => {
  it('writes the fields of etcd logs, one JSON object a line', () => {
    const { lines, log } = setUp('json');
    log.info('ready to serve', {
      name: 'n1',
      memberId: 0x8e9e05c52164694dn,
      data: Buffer.alloc(3),
    });
    expect(lines).toEqual([
      '{"level":"info","ts":"2026-11-23T11:15:28.007Z","name":"n1",' +
        '"member-id":"8e9e05c52164694d","data":"3 bytes","msg":"ready to serve"}\n',
    ]);
  });

  it('keeps a line a line in both formats', () => {
    for (const format of ['json', 'console'] as const) {
      const { lines, log } = setUp(format);
      log.warn('two\nlines', { text: 'three\nfour' });
      expect(lines).toHaveLength(1);
      expect(lines[0]?.trimEnd()).not.toContain('\n');
    }
  });

  it('is readable by eye in the console format', () => {
    const { lines, log } = setUp('console');
    log.warn('slow', { tookMs: 12, path: '/a b' });
    expect(lines[0]).toBe('2026-11-23T11:15:28.007Z WARN  slow took-ms=12 path="/a b"\n');
  });

  it('says the message of an error, and where it came from at level error', () => {
    const { lines, log } = setUp('json');
    log.error('failed', { error: new Error('disk full') });
    const line = JSON.parse(lines[0] ?? '') as Record<string, unknown>;
    expect(line.error).toBe('disk full');
    expect(line.stacktrace).toContain('logger.test.ts');
  });

  it('keeps quiet below its level', () => {
    const { lines, log } = setUp('json', 'error');
    log.debug('a');
    log.info('b');
    log.warn('c');
    expect(lines).toEqual([]);
  });

  it('does not write what is called like a secret', () => {
    const { lines, log } = setUp('json');
    log.info('login', { user: 'root', password: 'hunter2', Token: 'abc.1', authorization: 'x-y' });
    expect(lines[0]).not.toMatch(/hunter2|abc\.1|x-y/);
  });

  it('ends once, and drops what comes later', async () => {
    const { lines, log } = setUp('json');
    log.info('one');
    await log.end();
    log.info('two');
    await log.end();
    expect(lines.map((line) => JSON.parse(line).msg)).toEqual(['one']);
  });

  it('flushes without throwing when nobody reads any more', () => {
    expect(() => setUp('json').log.flush()).not.toThrow();
  });
});
