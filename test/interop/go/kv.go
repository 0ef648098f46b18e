package main

import (
	"context"
	"strings"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/ordering"
)

func put(ctx context.Context, client *clientv3.Client, key, value string) int64 {
	response, err := client.Put(ctx, key, value)
	check(err)
	return response.Header.Revision
}

func keys(response *clientv3.GetResponse) []string {
	names := []string{}
	for _, kv := range response.Kvs {
		names = append(names, string(kv.Key))
	}
	return names
}

func kv(ctx context.Context, client *clientv3.Client) {
	for _, pair := range []string{"kv/c=1", "kv/a=3", "kv/b=2", "kv/a=4"} {
		key, value, _ := strings.Cut(pair, "=")
		put(ctx, client, key, value)
	}
	get := func(options ...clientv3.OpOption) *clientv3.GetResponse {
		response, err := client.Get(ctx, "kv/", append(options, clientv3.WithPrefix())...)
		check(err)
		return response
	}
	tell("prefix", keys(get()))
	tell("limit", []any{keys(get(clientv3.WithLimit(2))), get(clientv3.WithLimit(2)).More})
	tell("count", get(clientv3.WithCountOnly()).Count)
	tell("descending", keys(get(clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))))
	tell("by value", keys(get(clientv3.WithSort(clientv3.SortByValue, clientv3.SortAscend))))
	tell("by mod", keys(get(clientv3.WithSort(clientv3.SortByModRevision, clientv3.SortDescend))))
	tell("first created", keys(get(clientv3.WithFirstCreate()...)))
	tell("last key", keys(get(clientv3.WithLastKey()...)))
	tell("serializable", keys(get(clientv3.WithSerializable())))

	first, err := client.Get(ctx, "kv/a")
	check(err)
	old, err := client.Get(ctx, "kv/a", clientv3.WithRev(first.Kvs[0].CreateRevision))
	check(err)
	tell("old revision", string(old.Kvs[0].Value))
	tell("newer only", keys(get(clientv3.WithMinModRev(first.Kvs[0].ModRevision))))
	_, err = client.Get(ctx, "kv/a", clientv3.WithRev(1_000_000))
	tell("future", []any{err == rpctypes.ErrFutureRev, errText(err)})
	_, err = client.Put(ctx, "", "x")
	tell("empty key", err == rpctypes.ErrEmptyKey)
	_, err = client.Put(ctx, "kv/a", "x", clientv3.WithLease(12345))
	tell("unknown lease", err == rpctypes.ErrLeaseNotFound)

	deleted, err := client.Delete(ctx, "kv/", clientv3.WithPrefix(), clientv3.WithPrevKV())
	check(err)
	tell("deleted", []any{deleted.Deleted, len(deleted.PrevKvs), string(deleted.PrevKvs[0].Value)})
	_, err = client.Compact(ctx, deleted.Header.Revision, clientv3.WithCompactPhysical())
	check(err)
	_, err = client.Get(ctx, "kv/a", clientv3.WithRev(first.Kvs[0].CreateRevision))
	tell("compacted", err == rpctypes.ErrCompacted)
}

func txn(ctx context.Context, client *clientv3.Client) {
	create := func(value string) *clientv3.TxnResponse {
		response, err := client.Txn(ctx).
			If(clientv3.Compare(clientv3.CreateRevision("tx/a"), "=", 0)).
			Then(clientv3.OpPut("tx/a", value), clientv3.OpGet("tx/a")).
			Else(clientv3.OpGet("tx/a")).
			Commit()
		check(err)
		return response
	}
	first, second := create("one"), create("two")
	tell("then", []any{first.Succeeded, string(first.Responses[1].GetResponseRange().Kvs[0].Value)})
	tell("else", []any{second.Succeeded, string(second.Responses[0].GetResponseRange().Kvs[0].Value)})

	nested, err := client.Txn(ctx).
		If(clientv3.Compare(clientv3.Value("tx/a"), "=", "one"), clientv3.Compare(clientv3.Version("tx/a"), "<", 2)).
		Then(
			clientv3.OpPut("tx/b", "b"),
			clientv3.OpTxn(
				[]clientv3.Cmp{clientv3.Compare(clientv3.Version("tx/b"), "=", 0)},
				[]clientv3.Op{clientv3.OpGet("tx/", clientv3.WithPrefix()), clientv3.OpDelete("tx/a")},
				nil,
			),
		).
		Commit()
	check(err)
	inner := nested.Responses[1].GetResponseTxn()
	tell("nested", []any{
		inner.Succeeded,
		len(inner.Responses[0].GetResponseRange().Kvs),
		inner.Responses[1].GetResponseDeleteRange().Deleted,
	})
	_, err = client.Txn(ctx).Then(clientv3.OpPut("tx/x", "1"), clientv3.OpPut("tx/x", "2")).Commit()
	tell("duplicate key", err == rpctypes.ErrDuplicateKey)
	many := []clientv3.Op{}
	for i := 0; i < 129; i++ {
		many = append(many, clientv3.OpGet("tx/a"))
	}
	_, err = client.Txn(ctx).Then(many...).Commit()
	tell("too many operations", err == rpctypes.ErrTooManyOps)
}

// orderedReads uses the wrapper that refuses answers whose header revision goes back.
func orderedReads(ctx context.Context, client *clientv3.Client) {
	violations := 0
	ordered := ordering.NewKV(client.KV, func(clientv3.Op, clientv3.OpResponse, int64) error {
		violations++
		return ordering.ErrNoGreaterRev
	})
	start := put(ctx, client, "ord", "x")
	for i := 0; i < 200; i++ {
		put(ctx, client, "ord", "x")
		_, err := ordered.Get(ctx, "ord", clientv3.WithSerializable())
		check(err)
		_, err = ordered.Get(ctx, "ord", clientv3.WithRev(start))
		check(err)
	}
	tell("reads that went back", violations)
}
