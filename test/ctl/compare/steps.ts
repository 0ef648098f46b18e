/**
 * Lines that are run with etcdctl and with ours, beside those of the comparison of servers
 * (test/interop/etcdctl): all commands here in all five formats, and what lines can have wrong.
 */

import { goJson, messageJson } from '../../../src/ctl/print/index.js';
import type { EtcdctlStep } from '../../helpers/etcdctl.js';
import { step } from '../../interop/etcdctl/step.js';
import { script } from '../../interop/etcdctl/steps.js';

/** A titled part; all run on one store, one after the other. */
export interface Chapter {
  readonly title: string;
  readonly steps: readonly EtcdctlStep[];
}

/** Commands of ours that are compared here; others have a comparison of their own. */
const compared: ReadonlySet<string> = new Set([
  ...['put', 'get', 'del', 'txn', 'compaction', 'watch', 'lease', 'lock', 'elect', 'check'],
  ...['make-mirror', 'version'],
]);

const fromServers: readonly Chapter[] = script
  .map(({ title, steps }) => ({
    title,
    steps: steps.filter(({ args }) => compared.has(args[0] ?? '')),
  }))
  .filter(({ steps }) => steps.length > 0);

/** Keys and values that are no text. */
const asHex = (out: Buffer): string => out.toString('hex');

/** What `-w protobuf` printed, as text in which ids can be masked. */
function asMessage(type: string): (out: Buffer) => string {
  return (out) => goJson(messageJson(out, `etcdserverpb.${type}`));
}

const formats = ['simple', 'json', 'fields', 'table'] as const;

/** A line in each of the formats that are text; protobuf is bytes, of which ids are a part. */
function inAllFormats(line: string): EtcdctlStep[] {
  return formats.flatMap((format) => [
    step(`${line} -w ${format}`),
    step(`${line} -w ${format} --hex`),
  ]);
}

const formatSteps: readonly EtcdctlStep[] = [
  ...inAllFormats('put f/a 1 --prev-kv'),
  ...inAllFormats('get f/ --prefix'),
  ...inAllFormats('get f/a --keys-only'),
  ...inAllFormats('get none'),
  ...inAllFormats('get f/ --prefix --count-only'),
  ...inAllFormats('get f/ --prefix --stream'),
  ...formats.map((format) => ({
    args: ['txn', '-w', format],
    stdin: 'mod("f/a") > "0"\n\nput f/b 1 --prev-kv\nget f/ --prefix\ndel f/b --prev-kv\n\n\n',
  })),
  ...formats.map((format) => ({
    args: ['txn', '-i', '-w', format, '--hex'],
    stdin: 'mod("f/a") < "0"\n\nput f/b 1\n\nget f/a\ndel nothing\n\n',
  })),
  ...formats.flatMap((format) => [
    step('put f/x 1'),
    step(`del f/x --prev-kv -w ${format}`),
    step(`del f/x --prev-kv -w ${format} --hex`),
  ]),
  step('put f/a 1 --prev-kv -w protobuf', { decode: asMessage('PutResponse') }),
  step('get f/ --prefix -w protobuf', { decode: asMessage('RangeResponse') }),
  step('get f/ --prefix --stream -w protobuf', { decode: asMessage('RangeResponse') }),
  {
    args: ['txn', '-w', 'protobuf'],
    stdin: '\nput f/b 1 --prev-kv\nget f/ --prefix\ndel f/b --prev-kv\n\n\n',
    decode: asMessage('TxnResponse'),
  },
  step('put f/x 1'),
  step('del f/x --prev-kv -w protobuf', { decode: asMessage('DeleteRangeResponse') }),
  // Not among the other leases: nobody gets to know its id.
  step('lease grant 5000 -w protobuf', { decode: asMessage('ResponseHeader') }),
  step('put f/json {"a":"<&>"}'),
  step('get f/json -w json'),
  step('put a<b>&c v -w json'),
  step('get a<b>&c -w json'),
  step('get a<b>&c -w fields'),
];

const leaseHex = /lease ([0-9a-f]+) granted/;

const leaseFormats: readonly EtcdctlStep[] = [
  step('lease grant 5000', { capture: { name: 'f1', from: leaseHex } }),
  step('put lf/a 1 --lease=<f1>'),
  ...formats.flatMap((format) => [
    step(`lease list -w ${format}`, { unordered: true }),
    step(`lease keep-alive --once <f1> -w ${format}`),
    step(`get lf/a -w ${format}`),
    step(`get lf/a -w ${format} --hex`),
  ]),
  // etcdctl takes these answers for their headers.
  ...['list', 'keep-alive --once <f1>', 'timetolive <f1>'].map((line) =>
    step(`lease ${line} -w protobuf`, { decode: asMessage('ResponseHeader') }),
  ),
  step('lease grant 5000', { capture: { name: 'f6', from: leaseHex } }),
  step('lease revoke <f6> -w protobuf'),
  step('lease grant 5000 -w json', { capture: { name: 'f2', from: /"ID":(\d+)/ } }),
  step('lease grant 5000', { capture: { name: 'f3', from: leaseHex } }),
  step('lease revoke <f3> -w json'),
  step('lease grant 5000', { capture: { name: 'f4', from: leaseHex } }),
  step('lease revoke <f4> -w fields'),
  step('lease grant 5000', { capture: { name: 'f5', from: leaseHex } }),
  step('lease revoke <f5> -w table'),
  step('lease revoke <f1>'),
  step('lease timetolive <f1> -w json'),
  step('lease timetolive <f1> -w fields --keys'),
  step('lease keep-alive <f1> -w json'),
  step('lease revoke 123'),
  step('lease timetolive 0xff'),
  step('lease ti 123'),
  step('lease grant 1 2'),
  step('lease grant 99999999999999999999'),
];

const bytesSteps: readonly EtcdctlStep[] = [
  { args: ['txn'], stdin: '\nput "b\\x00\\xff" "\\u20ac\\n\\377"\n\n\n' },
  { args: ['get', 'b', '--prefix'], decode: asHex },
  { args: ['get', 'b', '--prefix', '-w', 'json'] },
  { args: ['get', 'b', '--prefix', '-w', 'fields'] },
  { args: ['get', 'b', '--prefix', '--hex'] },
];

const lines = (...stdin: readonly string[]): EtcdctlStep[] =>
  stdin.map((text) => ({ args: ['txn'], stdin: text }));

const txnSyntax: readonly EtcdctlStep[] = lines(
  '',
  'foo\n',
  'mod(foo) = "1"\n',
  'mod("foo") = 1\n',
  'mod("foo")= "1"\n',
  'mod("foo") ="1"\n',
  'mod("foo" = "1"\n',
  'mod("foo") = "x"\n',
  'nope("foo") = "x"\n',
  'val("f\\oo") = "x"\n',
  'val(`foo`) = `x`\n\n\n\n',
  '\nput\n',
  '\nnope a b\n',
  '\nput a\n',
  '\nput a "x\\qy"\n',
  "\nput a 'one text' \n\n\n",
  '\nget a --nope \n\n\n',
  '\nput a "without an end\n\n\n',
  '\nput foo x\nput foo y\n\n\n',
  '\ng a\n\n\n',
  '\n\n\n',
  '  \n \t \n\n',
);

const wrongLines: readonly EtcdctlStep[] = [
  step('foo'),
  step('gett a'),
  step('ge none'),
  step('ver'),
  step('version -w json'),
  step('c foo'),
  step('p a b'),
  step('put foo --bad'),
  step('get -q a'),
  step('get a --rev=x'),
  step('get a --rev'),
  step('get a --debug=nope'),
  step('get a --command-timeout 1'),
  step('get a --command-timeout x'),
  step('put foo bar --lease zz'),
  step('put foo -- -bar'),
  step('get none -w=json'),
  step('-wjson get none'),
  step('get none --write-out json --write-out simple'),
  step('--prefix get foo'),
  step('get a z --min-mod-rev 3 --max-mod-rev 2'),
  step('get a z --min-create-rev 3 --max-create-rev 2'),
  step('get a --consistency q'),
  step('get a --print-value-only -w json'),
  step('del a b c'),
  step('del a --prefix --from-key'),
  step('compaction'),
  step('compaction x'),
  step('compaction 1 2'),
  step('compaction 99999999999999999999'),
  step('txn extra'),
  step('put foo bar --max-request-bytes 3'),
  step('get foo --max-recv-bytes 1'),
  step('get foo --cert /nope/cert --key /nope/key'),
  { args: ['get', 'foo', '--cert', ''] },
  { args: ['get', 'foo', '--endpoints', ''] },
  step('--endpoints 127.0.0.1:1 get foo --command-timeout 300ms'),
  step('check perf --load q'),
  step('check datascale --load q'),
  step('put /etcdctl-check-perf/x y'),
  step('check perf'),
  step('make-mirror'),
  step('make-mirror a b'),
  step('make-mirror 127.0.0.1:1 --no-dest-prefix --dest-prefix x'),
  step('lock mutex sh -c true'),
  { args: ['lock', 'mutex', '--', 'sh', '-c', 'echo rev $ETCD_LOCK_REV; exit 3'] },
  { args: ['lock', 'mutex', '--', '/nope/program'].slice(0, 3).concat('no-such-program') },
  step('lock mutex --ttl x'),
  step('lock mutex --ttl 99999999999 true'),
  step('elect a b -l'),
];

const watchLines: readonly EtcdctlStep[] = [
  step('put wl/a 1 -w json', { capture: { name: 'wl', from: /"revision":(\d+)/ } }),
  step('put wl/a 2'),
  step('put wl/a 3 -w json', { capture: { name: 'wl3', from: /"revision":(\d+)/ } }),
  {
    args: ['watch', 'wl/a', '--rev=<wl3>', '--', 'sh', '-c', 'echo $ETCD_WATCH_KEY; exit 3'],
  },
  step('watch wl/a --rev=<wl3> -- no-such-program x'),
  step('watch wl/a --rev=<wl3> -w table'),
  step('watch wl/a --rev=<wl3> --hex -w fields', { until: /"Lease" : .*\n/ }),
  step('watch wl/a --rev=<wl3> -w protobuf', {
    until: /wl\/a/,
    decode: asMessage('WatchResponse'),
  }),
  step('watch wl/a --'),
  step('watch a b --prefix'),
  step('watch a --rev x'),
  step('watch -i', { stdin: 'foo bar\n\nwatch a --\n' }),
  step('watch -i', { stdin: 'watch a --nope\n' }),
  step('watch -i', { stdin: 'watch a b --prefix\n' }),
  step('watch -i', { stdin: 'watch "a\\q"\n' }),
  step('compaction <wl3>'),
  step('watch wl/a --rev=<wl>'),
  step('watch wl/a --rev=<wl> -w json'),
  step('watch wl/a --rev=<wl> -w fields'),
  step('get wl/a --rev=<wl>'),
  step('compaction <wl>'),
];

export const chapters: readonly Chapter[] = [
  // First: leases whose time is over go when they like, and would be on the list until then.
  { title: 'formats of leases', steps: leaseFormats },
  ...fromServers,
  { title: 'formats', steps: formatSteps },
  { title: 'keys and values of any bytes', steps: bytesSteps },
  { title: 'the syntax of txn', steps: txnSyntax },
  { title: 'lines that are wrong', steps: wrongLines },
  { title: 'watch', steps: watchLines },
];
