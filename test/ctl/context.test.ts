/** Named clusters: what is kept, who may read it, and which of line, environment and context wins. */

import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { startNode, type TestNode } from '../../src/testing/index.js';
import { type CtlRunOptions, runCtlHere } from '../helpers/ctl-in-process.js';

const home = mkdtempSync(join(tmpdir(), 'kvorum-context-'));
const file = join(home, 'kvorum', 'contexts.json');
afterEach(() => rmSync(dirname(file), { recursive: true, force: true }));
afterAll(() => rmSync(home, { recursive: true, force: true }));

/** One line of `kvorum`; `env` is added. */
async function kvorum(line: string, env: Record<string, string> = {}, more: CtlRunOptions = {}) {
  const { code, stdout, stderr } = await runCtlHere(line.split(' '), {
    program: 'kvorum',
    env: { XDG_CONFIG_HOME: home, ...env },
    ...more,
  });
  return { code, out: stdout.toString(), err: stderr };
}

const well = (out: string) => ({ code: 0, out, err: '' });

describe('contexts', () => {
  it('are kept, listed, used, shown and forgotten', async () => {
    expect(await kvorum('context list')).toEqual(well(''));
    expect(await kvorum('context add one --endpoints a:1,b:2')).toEqual(
      well('Context one is kept, and is the current one\n'),
    );
    expect(await kvorum('context add second --endpoints c:3 --user eve --password-env PW')).toEqual(
      well('Context second is kept\n'),
    );
    expect(await kvorum('context list')).toEqual(
      well('* one     a:1,b:2\n  second  c:3  as eve\n'),
    );
    expect(await kvorum('context use second')).toEqual(well('Context second is the current one\n'));
    expect(JSON.parse((await kvorum('context show -w json')).out)).toEqual({
      name: 'second',
      endpoints: ['c:3'],
      user: 'eve',
      passwordEnv: 'PW',
    });
    expect((await kvorum('context show one')).out).toMatch(/^name +one\nendpoints +a:1,b:2\nfile /);
    expect(await kvorum('context remove second')).toEqual(
      well('Context second is forgotten; there is no current one now\n'),
    );
    expect((await kvorum('context list -w table')).out).toMatch(/│ +│ +one │ +a:1,b:2 │/);
  });

  it('are for this user alone', async () => {
    await kvorum('context add one --endpoints a:1');
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(dirname(file)).mode & 0o777).toBe(0o700);
  });

  it('keep files by their whole paths', async () => {
    await kvorum('context add one --endpoints a:1 --cacert ca.pem --insecure-skip-tls-verify');
    expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual({
      current: 'one',
      contexts: {
        one: {
          endpoints: ['a:1'],
          cacert: join(process.cwd(), 'ca.pem'),
          insecureSkipTlsVerify: true,
        },
      },
    });
  });

  it.each([
    ['context add one --endpoints a:1 --user eve --password secret', /passwords.* are not kept/],
    ['context add one --endpoints a:1 --user eve:secret', /passwords.* are not kept/],
    ['context add one --endpoints a:1 --auth-jwt-token secret', /tokens are not kept/],
    ['context add one', /needs --endpoints/],
    ['context add one --endpoints a:1 --password-env PW', /needs --user/],
    ['context add a/b --endpoints a:1', /is no name/],
    ['context add __proto__ --endpoints a:1', /is no name/],
    ['context add', /give one name/],
    ['context use absent', /there is no context "absent"; there are none/],
    ['context show', /no current context/],
    ['member list --context absent', /there is no context "absent"/],
  ])('refuse %j, and keep nothing', async (line, why) => {
    const { code, out, err } = await kvorum(line);
    expect({ failed: code !== 0, out }).toEqual({ failed: true, out: '' });
    expect(err).toMatch(why);
    expect(err).not.toMatch(/secret/);
    expect(() => statSync(file)).toThrow(/ENOENT/);
  });

  it('are not replaced by chance', async () => {
    await kvorum('context add one --endpoints a:1');
    expect((await kvorum('context add one --endpoints b:2')).err).toMatch(/give --replace/);
    expect((await kvorum('context add one --endpoints b:2 --replace')).code).toBe(0);
    expect((await kvorum('context list')).out).toBe('* one  b:2\n');
  });

  it.each([
    ['{', /contexts.json can't be used: .*JSON/],
    ['[]', /it is no object/],
    ['{"contexts":{"one":{"endpoints":[]}}}', /"endpoints" of context "one" is no list/],
    ['{"contexts":{"one":{"endpoints":["a"],"pasword":"x"}}}', /unknown field "pasword"/],
    ['{"contexts":{"one":{"endpoints":["a"],"cert":1}}}', /"cert" of context "one" is no text/],
    ['{"current":1}', /"current" is no text/],
  ])('say what is wrong with a file of %j, and leave it', async (text, why) => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
    for (const line of ['context list', 'context add x --endpoints a:1', 'member list']) {
      const { code, err } = await kvorum(line);
      expect({ code, err }).toEqual({ code: 1, err: expect.stringMatching(why) });
    }
    expect(readFileSync(file, 'utf8')).toBe(text);
  });

  it('do not exist for etcdctl', async () => {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, '{');
    const options = { env: { XDG_CONFIG_HOME: home } };
    expect((await runCtlHere(['context', 'list'], options)).stderr).toMatch(/unknown command/);
    expect((await runCtlHere(['version'], options)).code).toBe(0);
  });

  describe('with a cluster', () => {
    let node: TestNode;
    beforeAll(async () => {
      node = await startNode();
    });
    afterAll(() => node.stop());

    /** Where nobody listens. */
    const nowhere = '127.0.0.1:1';
    const put = (line: string, env?: Record<string, string>) => {
      return kvorum(`put k v --dial-timeout 1s --command-timeout 1s ${line}`.trim(), env);
    };

    it('stand for what neither the line nor the environment has', async () => {
      await kvorum(`context add here --endpoints ${node.endpoint}`);
      await kvorum(`context add nowhere --endpoints ${nowhere}`);
      expect((await put('')).code).toBe(0);
      expect((await put('--context nowhere')).code).toBe(1);
      expect((await put('', { KVORUM_CONTEXT: 'nowhere' })).code).toBe(1);
      expect((await put('--context here', { KVORUM_CONTEXT: 'nowhere' })).code).toBe(0);
      expect((await put('', { ETCDCTL_ENDPOINTS: nowhere })).code).toBe(1);
      expect((await put(`--context nowhere --endpoints ${node.endpoint}`)).code).toBe(0);
      const env = { KVORUM_CONTEXT: 'nowhere', ETCDCTL_ENDPOINTS: node.endpoint };
      expect((await put('', env)).code).toBe(0);
    });

    it('have the password where it was said to be, and send it to no other endpoints', async () => {
      const at = `--endpoints ${node.endpoint}`;
      const pw = join(home, 'password');
      writeFileSync(pw, 'secret\n');
      expect((await kvorum(`user add root:secret ${at}`)).code).toBe(0);
      expect((await kvorum(`auth enable ${at}`)).code).toBe(0);
      await kvorum(`context add byfile ${at} --user root --password-file ${pw}`);
      await kvorum(`context add byenv ${at} --user root --password-env PW`);
      expect((await put('--context byfile')).code).toBe(0);
      expect((await put('--context byenv', { PW: 'secret' })).code).toBe(0);
      expect((await put('--context byenv')).err).toMatch(/is to be in PW, which is not set/);
      expect((await put('--context byenv --user root:wrong')).code).toBe(2);
      // The current one has a user, but the line says which endpoints it means.
      await kvorum('context use byfile');
      expect((await put('')).code).toBe(0);
      expect((await put(at)).err).toBe('Error: etcdserver: user name is empty\n');
      rmSync(pw);
      expect((await put('')).err).toMatch(/password of root can't be read: open .*no such file/);
    });
  });
});
