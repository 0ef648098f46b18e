"""Drives python-etcd3 against the server given as host and port.

Prints one JSON object a line: {"name": ..., "value": ...}. python-etcd3.test.ts says what each
value must be, so this file only does and tells.
"""

import json
import sys
import threading

import etcd3


def tell(name, value):
    print(json.dumps({"name": name, "value": value}), flush=True)


def text(raw):
    return None if raw is None else raw.decode()


def kv(client):
    client.put("kv/a", "1")
    client.put("kv/b", "2")
    value, meta = client.get("kv/a")
    tell("get", [text(value), text(meta.key), meta.version])
    tell("get of a missing key", text(client.get("kv/none")[0]))
    pairs = [(text(m.key), text(v)) for v, m in client.get_prefix("kv/")]
    tell("get_prefix", pairs)
    pairs = [text(m.key) for _, m in client.get_prefix("kv/", sort_order="descend")]
    tell("get_prefix descending", pairs)
    pairs = [text(m.key) for _, m in client.get_range("kv/a", "kv/b")]
    tell("get_range", pairs)
    tell("replace", [client.replace("kv/a", "1", "9"), client.replace("kv/a", "1", "8")])
    tell("put_if_not_exists", [client.put_if_not_exists("kv/c", "1"),
                               client.put_if_not_exists("kv/c", "2")])
    previous = client.put("kv/b", "3", prev_kv=True).prev_kv
    tell("put with prev_kv", text(previous.value))
    tell("delete", [client.delete("kv/a"), client.delete("kv/a")])
    tell("delete_prefix", client.delete_prefix("kv/").deleted)


def txn(client):
    client.put("tx/a", "1")
    ok, answers = client.transaction(
        compare=[client.transactions.value("tx/a") == "1",
                 client.transactions.version("tx/a") > 0],
        success=[client.transactions.put("tx/b", "2"),
                 client.transactions.get("tx/b")],
        failure=[client.transactions.delete("tx/a")],
    )
    tell("transaction then", [ok, text(answers[1][0][0])])
    ok, _ = client.transaction(
        compare=[client.transactions.create("tx/none") > 0],
        success=[],
        failure=[client.transactions.delete("tx/a")],
    )
    tell("transaction else", [ok, text(client.get("tx/a")[0])])


def watch(client):
    events, cancel = client.watch_prefix("w/", prev_kv=True)
    client.put("w/a", "1")
    client.put("w/a", "2")
    client.delete("w/a")
    seen = []
    for event in events:
        seen.append([type(event).__name__, text(event.key), text(event.value),
                     text(event.prev_value)])
        if len(seen) == 3:
            cancel()
    tell("watch_prefix", seen)
    client.compact(revision(client))
    try:
        events, cancel = client.watch("w/a", start_revision=1)
        for event in events:
            tell("watch of a compacted revision", "got an event")
        tell("watch of a compacted revision", "ended")
    except etcd3.exceptions.RevisionCompactedError as error:
        tell("watch of a compacted revision", error.compacted_revision == revision(client))


def revision(client):
    return client.get_response("w/a").header.revision


def lease(client):
    granted = client.lease(60)
    client.put("l/a", "1", lease=granted)
    tell("lease", [granted.granted_ttl, 0 < granted.remaining_ttl <= 60,
                   [text(key) for key in granted.keys]])
    tell("refresh", [answer.TTL for answer in granted.refresh()])
    granted.revoke()
    tell("revoke", text(client.get("l/a")[0]))
    short = client.lease(1)
    client.put("l/b", "1", lease=short)
    gone = threading.Event()
    watcher = client.add_watch_callback("l/b", lambda answer: gone.set())
    tell("expiry", gone.wait(20) and client.get("l/b")[0] is None)
    client.cancel_watch(watcher)


def lock(client, host, port):
    first = client.lock("mutex", ttl=20)
    tell("lock acquired", [first.acquire(), first.is_acquired()])
    other = etcd3.client(host=host, port=port)
    second = other.lock("mutex", ttl=20)
    # Waiting for a lock fails inside python-etcd3 itself with the tenacity of Debian 12, so the
    # other client only looks, and acquires when the lock is free.
    tell("lock not held by the other", second.is_acquired())
    tell("lock released", [first.release(), first.is_acquired()])
    tell("lock acquired by the other", [second.acquire(), second.is_acquired()])
    second.release()
    other.close()
    with client.lock("mutex", ttl=20) as held:
        tell("lock in a with block", held.is_acquired())


def maintenance(client):
    status = client.status()
    member = list(client.members)[0]
    tell("status", [status.leader.id == member.id, status.raft_term > 0, status.db_size >= 0])
    tell("members", [member.name, len(list(member.client_urls)), len(list(member.peer_urls))])
    tell("hash", client.hash() > 0)
    client.defragment()
    tell("alarms", [list(client.create_alarm()) != [], len(list(client.list_alarms())),
                    len(client.disarm_alarm()), len(list(client.list_alarms()))])
    try:
        client.get("")
        tell("error", "none")
    except Exception as error:  # a class of grpc's own
        tell("error", [error.code().name, error.details()])


def main():
    host, port = sys.argv[1], int(sys.argv[2])
    client = etcd3.client(host=host, port=port)
    kv(client)
    txn(client)
    watch(client)
    lease(client)
    lock(client, host, port)
    maintenance(client)
    client.close()
    tell("done", True)


main()
