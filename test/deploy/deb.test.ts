/**
 * The Debian package on this machine: installed, started as its unit says, upgraded, stopped and
 * removed. It sees the machine's files, but what it changes nobody else sees.
 */

import { afterAll, beforeAll, expect, it } from 'vitest';
import { endProgramsAfterEach, Program } from '../e2e/program.js';
import { bytes, RawClient } from '../helpers/grpc.js';
import { freePort } from '../helpers/server.js';
import { describeWith, toolPath } from '../helpers/tools.js';
import { Overlay } from './overlay.js';

endProgramsAfterEach();

/** `Name=value` lines of a unit, or of a file of settings. */
function settings(text: string): Array<readonly [string, string]> {
  return [...text.matchAll(/^([A-Za-z_]+)=(.*)$/gm)].map(([, name = '', value = '']) => {
    return [name, value] as const;
  });
}

describeWith(['debian-package'], 'the Debian package', () => {
  let machine: Overlay;
  const ran = async (...args: readonly string[]): Promise<string> => {
    const outcome = await machine.run(...args);
    expect(outcome.code, `${args.join(' ')}:\n${outcome.stdout}${outcome.stderr}`).toBe(0);
    return outcome.stdout.toString();
  };

  /** Starts what the unit says, as its user, with its settings. */
  const startUnit = async (): Promise<Program> => {
    const unit = settings(await ran('cat', '/usr/lib/systemd/system/kvorum.service'));
    const of = (wanted: string) => unit.find(([name]) => name === wanted)?.[1] ?? '';
    const file = await ran('cat', of('EnvironmentFile').replace(/^-/, ''));
    const variables = [of('Environment'), ...settings(file).map((pair) => pair.join('='))];
    const user = ['--reuid', of('User'), '--regid', of('Group'), '--init-groups', '--no-new-privs'];
    const bounded = ['--bounding-set', '-all', '--pdeathsig', 'KILL'];
    const command = ['setpriv', ...user, ...bounded, 'env', ...variables, of('ExecStart')];
    const [program, args] = machine.command(...command);
    const server = new Program(args, { program });
    await server.line('ready to serve client requests');
    return server;
  };

  beforeAll(async () => {
    machine = await Overlay.create();
  });
  afterAll(() => machine?.remove());

  it('installs a program, a unit, settings and a user', async () => {
    const deb = await machine.add(toolPath('debian-package'));
    const said = await ran('dpkg', '--install', deb);
    expect(said).toContain('kvorum is not started yet: see /etc/default/kvorum');
    expect(await ran('kvorum', '--version')).toContain('kvorum Version');
    expect(await ran('getent', 'passwd', 'kvorum')).toMatch(/:\/var\/lib\/kvorum:.*nologin$/m);
    expect(await ran('stat', '-c', '%U %G %a', '/var/lib/kvorum')).toBe('kvorum kvorum 700\n');
    expect(await ran('dpkg', '--verify', 'kvorum'), 'nothing is other than packed').toBe('');
  });

  it('serves as its unit would start it, and keeps settings and data when it is removed', async () => {
    const [client, peer, metrics] = [await freePort(), await freePort(), await freePort()];
    const ports = `s/:2379$/:${client}/; s/:2380$/:${peer}/; s/:2381$/:${metrics}/`;
    await ran('sed', '-i', ports, '/etc/default/kvorum');
    const server = await startUnit();
    const etcd = new RawClient(`127.0.0.1:${client}`);
    await etcd.put({ key: bytes('a'), value: bytes('1') });
    expect((await etcd.range({ key: bytes('a') })).kvs[0]?.value.toString()).toBe('1');
    etcd.close();
    const ready = await fetch(`http://127.0.0.1:${metrics}/readyz`);
    expect(ready.status).toBe(200);
    const owner = await ran('stat', '-c', '%U', `/proc/${server.pid}`);
    expect(owner).toBe('kvorum\n');
    expect(await server.stop()).toBe('SIGTERM');

    await ran('dpkg', '--install', await machine.add(toolPath('debian-package')));
    expect(await ran('cat', '/etc/default/kvorum')).toContain(`:${client}\n`);
    await ran('dpkg', '--remove', 'kvorum');
    const gone = await machine.run('ls', '/usr/bin/kvorum');
    expect(gone.code).not.toBe(0);
    expect(await ran('cat', '/etc/default/kvorum')).toContain(`:${client}\n`);
    const said = await ran('dpkg', '--purge', 'kvorum');
    expect(said).toContain('the data of kvorum is left in /var/lib/kvorum');
    expect((await machine.run('ls', '/etc/default/kvorum')).code).not.toBe(0);
    expect(await ran('ls', '/var/lib/kvorum')).not.toBe('');
  });
});
