"""Drives etcd3gw against the JSON gateway of the server given as host and port.

Prints one JSON object a line: {"name": ..., "value": ...}. python-etcd3gw.test.ts says what each
value must be, so this file only does and tells.

etcd3gw 2.0 has no options for users: as its own users do, a token is got with `client.post` and
kept in the headers of its session.
"""

import json
import sys
import time

import etcd3gw
from etcd3gw.client import Etcd3Client
from etcd3gw.exceptions import Etcd3Exception


who = ""


def tell(name, value):
    print(json.dumps({"name": who + name, "value": value}), flush=True)


def texts(raws):
    return [raw.decode() for raw in raws]


def connect(host, port, user=None, password=None):
    client = Etcd3Client(host=host, port=port, api_path="/v3/", timeout=60)
    if user is not None:
        answer = client.post(client.get_url("/auth/authenticate"),
                             json={"name": user, "password": password})
        client.session.headers["Authorization"] = answer["token"]
    return client


def failure(call):
    """What the server says to a call that fails: the gateway's body."""
    try:
        return call()
    except Etcd3Exception as error:
        body = json.loads(error.detail_text)
        return [body["code"], body["message"]]


def kv(client):
    tell("put", client.put("kv/a", "1"))
    client.put("kv/b", "2")
    tell("get", texts(client.get("kv/a")))
    tell("get of a missing key", client.get("kv/none"))
    value, meta = client.get("kv/a", metadata=True)[0]
    tell("metadata", [value.decode(), meta["key"].decode(), meta["version"],
                      meta["create_revision"] == meta["mod_revision"]])
    tell("get_prefix", [[v.decode(), m["key"].decode()] for v, m in client.get_prefix("kv/")])
    down = client.get_prefix("kv/", sort_order="descend", sort_target="value")
    tell("get_prefix descending", [m["key"].decode() for _, m in down])
    tell("create", [client.create("kv/c", "1"), client.create("kv/c", "2")])
    tell("replace", [client.replace("kv/c", "1", "9"), client.replace("kv/c", "1", "8")])
    tell("bytes", [client.put("kv/raw", b"\x00\xff"), list(client.get("kv/raw")[0])])
    tell("delete", [client.delete("kv/a"), client.delete("kv/a")])
    tell("delete_prefix", [client.delete_prefix("kv/"), client.get_prefix("kv/")])


def watches(client):
    events, cancel = client.watch_prefix("w/", prev_kv=True)
    time.sleep(0.5)
    client.put("w/a", "1")
    client.put("w/a", "2")
    client.delete("w/a")
    seen = []
    for event in events:
        seen.append([event.get("type", "PUT"), event["kv"]["key"].decode(),
                     event["kv"].get("value", b"").decode()])
        if len(seen) == 3:
            cancel()
    tell("watch_prefix", seen)
    client.put("w/b", "before")
    revision = int(client.get("w/b", metadata=True)[0][1]["mod_revision"])
    event = client.watch_once("w/b", timeout=30, start_revision=revision)
    tell("watch_once from a revision", event["kv"]["value"].decode())


def leases(client):
    lease = client.lease(ttl=60)
    client.put("l/a", "1", lease=lease)
    tell("lease", [lease.ttl() in (59, 60), texts(lease.keys())])
    tell("refresh", lease.refresh())
    tell("revoke", [lease.revoke(), client.get("l/a")])
    tell("refresh of a revoked lease", lease.refresh())


def locks(client, other):
    mine, theirs = client.lock("mutex", ttl=60), other.lock("mutex", ttl=60)
    tell("lock", [mine.acquire(), mine.is_acquired(), theirs.acquire(), theirs.is_acquired()])
    tell("lock refreshed", mine.refresh())
    tell("lock released", [mine.release(), theirs.acquire(), theirs.release()])
    with client.lock("with", ttl=60) as lock:
        tell("lock in a with block", lock.is_acquired())


def cluster(client):
    status, members = client.status(), client.members()
    tell("status", [status["version"].count("."), int(status["dbSize"]) > 0])
    tell("members", [len(members), members[0]["name"], len(members[0]["clientURLs"])])


def b64(text):
    return etcd3gw.utils._encode(text)


def enable_auth(client):
    """root, and alice, who may read and write a few prefixes."""
    def post(path, **body):
        return client.post(client.get_url("/auth/" + path), json=body)
    post("user/add", name="root", password="secret")
    post("role/add", role="root", name="root")
    post("user/grant", user="root", role="root")
    post("role/add", name="app")
    for prefix in ("kv/", "w/", "l/", "/locks/"):
        post("role/grant", name="app", perm={
            "permType": "READWRITE", "key": b64(prefix),
            "range_end": b64(prefix[:-1] + "0")})
    post("user/add", name="alice", password="wonder")
    post("user/grant", user="alice", role="app")
    post("enable")


def refusals(host, port, alice):
    tell("no token", failure(lambda: connect(host, port).get("kv/a")))
    tell("wrong password", failure(lambda: connect(host, port, "alice", "no")))
    tell("unknown user", failure(lambda: connect(host, port, "nobody", "no")))
    stranger = connect(host, port)
    stranger.session.headers["Authorization"] = "no.1"
    tell("wrong token", failure(lambda: stranger.get("kv/a")))
    tell("not permitted", [failure(lambda: alice.put("other", "1")),
                           failure(lambda: alice.get("other"))])
    bearer = connect(host, port, "alice", "wonder")
    bearer.session.headers["Authorization"] = "Bearer " + bearer.session.headers["Authorization"]
    tell("Bearer", bearer.put("kv/a", "1"))
    root = connect(host, port, "root", "secret")
    root.post(root.get_url("/auth/user/changepw"), json={"name": "alice", "password": "wonder"})
    tell("token after a change of the password", failure(lambda: alice.get("kv/a")))


def everything(client, other):
    kv(client)
    watches(client)
    leases(client)
    locks(client, other)


def main(host, port):
    global who
    client = connect(host, port)
    tell("authenticate where auth is off", failure(lambda: connect(host, port, "a", "b")))
    cluster(client)
    everything(client, connect(host, port))
    enable_auth(client)
    alice = connect(host, port, "alice", "wonder")
    who = "with a user: "
    everything(alice, connect(host, port, "alice", "wonder"))
    who = ""
    refusals(host, port, alice)
    tell("done", True)


main(sys.argv[1], int(sys.argv[2]))
