package main

import (
	"context"
	"sort"
	"sync"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"go.etcd.io/etcd/client/v3/mirror"
	"go.etcd.io/etcd/client/v3/namespace"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
)

func leases(ctx context.Context, client *clientv3.Client) {
	granted, err := client.Grant(ctx, 2)
	check(err)
	_, err = client.Put(ctx, "lease/a", "x", clientv3.WithLease(granted.ID))
	check(err)
	keeping, stop := context.WithCancel(ctx)
	answers, err := client.KeepAlive(keeping, granted.ID)
	check(err)
	for i := 0; i < 4; i++ {
		if answer := <-answers; answer == nil || answer.TTL != 2 {
			fail("keepalive ended or had the wrong TTL")
		}
	}
	told, err := client.TimeToLive(ctx, granted.ID, clientv3.WithAttachedKeys())
	check(err)
	tell("time to live", []any{told.GrantedTTL, told.TTL >= 0, len(told.Keys)})
	expiry := client.Watch(ctx, "lease/a")
	stop()
	tell("expiry", collect(expiry, 1))
	_, err = client.KeepAliveOnce(ctx, granted.ID)
	tell("keepalive of a dead lease", err == rpctypes.ErrLeaseNotFound)
	dead, err := client.TimeToLive(ctx, granted.ID)
	check(err)
	tell("time to live of a dead lease", dead.TTL)
	_, err = client.Revoke(ctx, granted.ID)
	tell("revoke of a dead lease", err == rpctypes.ErrLeaseNotFound)

	session, err := concurrency.NewSession(client, concurrency.WithTTL(5))
	check(err)
	_, err = client.Put(ctx, "lease/s", "x", clientv3.WithLease(session.Lease()))
	check(err)
	all, err := client.Leases(ctx)
	check(err)
	tell("leases", len(all.Leases))
	check(session.Close())
	gone, err := client.Get(ctx, "lease/s")
	check(err)
	tell("key of a closed session", gone.Count)
	_, err = client.Revoke(ctx, session.Lease())
	tell("session lease revoked", err == rpctypes.ErrLeaseNotFound)
}

func newSession(client *clientv3.Client) *concurrency.Session {
	session, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	check(err)
	return session
}

func concurrencyRecipes(ctx context.Context, client *clientv3.Client) {
	const workers = 5
	inside, most, entered := 0, 0, 0
	var guard sync.Mutex
	var group sync.WaitGroup
	for i := 0; i < workers; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			session := newSession(client)
			defer session.Close()
			mutex := concurrency.NewMutex(session, "mutex")
			check(mutex.Lock(ctx))
			guard.Lock()
			inside, entered = inside+1, entered+1
			most = max(most, inside)
			guard.Unlock()
			time.Sleep(5 * time.Millisecond)
			guard.Lock()
			inside--
			guard.Unlock()
			check(mutex.Unlock(ctx))
		}()
	}
	group.Wait()
	tell("mutex", []any{entered, most})

	first, second := newSession(client), newSession(client)
	held := concurrency.NewMutex(first, "try")
	check(held.TryLock(ctx))
	tell("try lock", concurrency.NewMutex(second, "try").TryLock(ctx) == concurrency.ErrLocked)
	check(held.Unlock(ctx))

	elections(ctx, first, second)
	transfers(ctx, client)
	check(first.Close())
	check(second.Close())
}

func elections(ctx context.Context, first, second *concurrency.Session) {
	one, two := concurrency.NewElection(first, "office"), concurrency.NewElection(second, "office")
	_, err := one.Leader(ctx)
	tell("no leader", err == concurrency.ErrElectionNoLeader)
	check(one.Campaign(ctx, "one"))
	observed := two.Observe(ctx)
	next := func() string { return string((<-observed).Kvs[0].Value) }
	tell("leader", next())
	check(one.Proclaim(ctx, "one again"))
	tell("proclaimed", next())
	key, revision := one.Key(), one.Rev()
	won := make(chan struct{})
	go func() {
		check(two.Campaign(ctx, "two"))
		close(won)
	}()
	check(one.Resign(ctx))
	<-won
	tell("next leader", next())
	tell("not leader", concurrency.ResumeElection(first, "office", key, revision).Proclaim(ctx, "x") ==
		concurrency.ErrElectionNotLeader)
	check(two.Resign(ctx))
}

// transfers moves units between two keys with software transactions; their sum may not change.
func transfers(ctx context.Context, client *clientv3.Client) {
	put(ctx, client, "stm/a", "aaaaaaaaaa")
	put(ctx, client, "stm/b", "")
	var group sync.WaitGroup
	for i := 0; i < 10; i++ {
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := concurrency.NewSTM(client, func(stm concurrency.STM) error {
				from, to := stm.Get("stm/a"), stm.Get("stm/b")
				stm.Put("stm/a", from[1:])
				stm.Put("stm/b", to+from[:1])
				return nil
			})
			check(err)
		}()
	}
	group.Wait()
	moved, err := client.Get(ctx, "stm/b")
	check(err)
	tell("software transactions", string(moved.Kvs[0].Value))
}

func namespaces(ctx context.Context, client *clientv3.Client) {
	kv := namespace.NewKV(client.KV, "ns/")
	watcher := namespace.NewWatcher(client.Watcher, "ns/")
	channel := watcher.Watch(ctx, "a", clientv3.WithCreatedNotify())
	<-channel
	_, err := kv.Put(ctx, "a", "1")
	check(err)
	tell("event", collect(channel, 1))
	inside, err := kv.Get(ctx, "", clientv3.WithFromKey())
	check(err)
	outside, err := client.Get(ctx, "ns/", clientv3.WithPrefix())
	check(err)
	tell("keys", []any{keys(inside), keys(outside)})
}

func mirrors(ctx context.Context, client *clientv3.Client) {
	// More keys than one page of the mirror, which is 1000.
	for page := 0; page < 12; page++ {
		operations := []clientv3.Op{}
		for i := 0; i < 100; i++ {
			operations = append(operations, clientv3.OpPut("mirror/"+string(rune('a'+page))+"/"+time.Duration(i).String(), "x"))
		}
		_, err := client.Txn(ctx).Then(operations...).Commit()
		check(err)
	}
	syncer := mirror.NewSyncer(client, "mirror/", 0)
	base, errors := syncer.SyncBase(ctx)
	copied := map[string]bool{}
	for response := range base {
		for _, kv := range response.Kvs {
			copied[string(kv.Key)] = true
		}
	}
	check(<-errors)
	tell("base", len(copied))
	updates := syncer.SyncUpdates(ctx)
	put(ctx, client, "mirror/late", "1")
	_, err := client.Delete(ctx, "mirror/late")
	check(err)
	tell("updates", collect(updates, 2))
}

func naming(ctx context.Context, client *clientv3.Client) {
	manager, err := endpoints.NewManager(client, "service")
	check(err)
	channel, err := manager.NewWatchChannel(ctx)
	check(err)
	check(manager.AddEndpoint(ctx, "service/one", endpoints.Endpoint{Addr: "10.0.0.1:1"}))
	check(manager.AddEndpoint(ctx, "service/two", endpoints.Endpoint{Addr: "10.0.0.2:2", Metadata: "m"}))
	list, err := manager.List(ctx)
	check(err)
	addresses := []string{}
	for _, endpoint := range list {
		addresses = append(addresses, endpoint.Addr)
	}
	sort.Strings(addresses)
	tell("list", addresses)
	check(manager.DeleteEndpoint(ctx, "service/one"))
	seen := []string{}
	for len(seen) < 3 {
		for _, update := range <-channel {
			if update.Op == endpoints.Add {
				seen = append(seen, "add "+update.Key)
			} else {
				seen = append(seen, "delete "+update.Key)
			}
		}
	}
	tell("updates", seen)
}
