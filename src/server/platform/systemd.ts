/**
 * sd_notify: one datagram to $NOTIFY_SOCKET, so that a unit of Type=notify knows when we are ready.
 *
 * Node has no unix datagram sockets, so another program sends it: systemd-notify where there is
 * systemd, else Python or Perl. The datagram then comes from a child of ours, which systemd only
 * accepts with `NotifyAccess=all` in the unit (docs/configuration.md). systemd-notify comes first
 * because it waits until systemd has seen the datagram, while the sender can still be looked up.
 */

import { spawn } from 'node:child_process';

/** What is told. */
export type NotifyState = 'READY=1' | 'STOPPING=1';
/** 'unasked': no $NOTIFY_SOCKET. */
export type NotifyResult = 'unasked' | 'sent' | 'failed';

const pythonSend =
  'import socket,sys;' +
  's=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM);' +
  'a=sys.argv[1];' +
  's.sendto(sys.argv[2].encode(),chr(0)+a[1:] if a[0]=="@" else a)';

const perlSend =
  'use Socket;my($a,$m)=@ARGV;$a=~s/^@/\\0/;' +
  'socket(my $s,PF_UNIX,SOCK_DGRAM,0)or die;' +
  'defined(send($s,$m,0,pack_sockaddr_un($a)))or die';

const timeoutMs = 5_000;

/**
 * Tells systemd, if it asked; never throws. A socket that nobody reads is not worth failing for,
 * so the caller logs 'failed' and goes on.
 */
export async function notifySystemd(
  state: NotifyState,
  env: Readonly<Record<string, string | undefined>>,
): Promise<NotifyResult> {
  const socket = env.NOTIFY_SOCKET;
  if (socket === undefined || socket === '') return 'unasked';
  // Only these two forms exist; anything else would be read as an option or a relative path.
  if (!/^[/@]./.test(socket)) return 'failed';
  const senders: ReadonlyArray<readonly [string, readonly string[]]> = [
    ['systemd-notify', [state]],
    ['python3', ['-c', pythonSend, socket, state]],
    ['perl', ['-e', perlSend, socket, state]],
  ];
  for (const [program, args] of senders) {
    if (await succeeds(program, args, env)) return 'sent';
  }
  return 'failed';
}

function succeeds(
  program: string,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): Promise<boolean> {
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: 'ignore', env, timeout: timeoutMs });
    child.once('error', () => resolve(false));
    child.once('exit', (code) => resolve(code === 0));
  });
}
