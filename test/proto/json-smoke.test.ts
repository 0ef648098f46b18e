import { it } from 'vitest';
import { runSteps, Slice } from '../../src/common/index.js';
import { jsonMessage, JsonScanner, readJson, writeJson } from '../../src/proto/index.js';
it('x', async () => {
  const slice = new Slice({ nowMs: () => performance.now(), afterTurn: (f: () => void) => setImmediate(f) } as never);
  const go = async (type: string, text: string) => {
    const b = Buffer.from(text);
    try {
      const sc = new JsonScanner();
      let end = sc.scan(b, 0, b.length);
      if (end < 0) { if (!sc.isWholeAtEnd) throw new Error('EOF'); end = b.length; }
      const w = await runSteps(readJson(b.subarray(0, end), jsonMessage(type), slice));
      console.log(type, text, '=>', w.toString('hex'), [...writeJson(w, jsonMessage(type))].join('|'));
    } catch (e) { console.log(type, text, '=>', (e as Error).message); }
  };
  const R = 'etcdserverpb.RangeRequest';
  await go(R, '{"key":"YQ==","rangeEnd":"AA","limit":"1e3","revision":1.0,"sort_order":"DESCEND","sort_target":3, "keys_only":true,"x":[1,{"a":[]}],"serializable":null}');
  await go(R, '{"key":1}');
  await go(R, '{"key":"\\/\\/8="}');
  await go(R, '{"key":"YQ==","key":"YQ=="}');
  await go(R, '[]');
  await go(R, '{\n "limit":\n  9223372036854775808}');
  await go(R, '{"limit":-9223372036854775808}');
  await go('etcdserverpb.TxnRequest', '{"compare":[{"key":"YQ==","lease":0,"result":"EQUAL","target":"LEASE"}],"success":[{"requestPut":{"key":"YQ=="}},{"request_txn":{"success":[{"request_range":{}}]}}],"failure":[{"requestPut":{},"request_range":{}}]}');
  await go('etcdserverpb.TxnRequest', '{"compare":[{"key":"YQ==","lease":0,"result":"EQUAL","target":"LEASE"}],"success":[{"requestPut":{"key":"YQ=="}},{"request_txn":{"success":[{"request_range":{}}]}}]}');
  await go('etcdserverpb.WatchRequest', '{"create_request":{"filters":["NOPUT",1,"X"],"key":"YQ"}}');
  await go('etcdserverpb.WatchRequest', '{"create_request":{"filters":[],"key":"YQ","watch_id":-1}}');
  await go('etcdserverpb.MemberAddRequest', '{"peerURLs":["http://é","b\\u00e9\\ud83d\\ude00"],"isLearner":true}');
  await go('etcdserverpb.MemberAddRequest', '{"peerURLs":["\\ud83dxxxxxx"],"isLearner":true}');
  await go('etcdserverpb.MemberAddRequest', '{"peerURLs":["\\ud83d"]}');
});
