package main

import (
	"context"
	"fmt"
	"time"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func describe(event *clientv3.Event) string {
	if event.Type == clientv3.EventTypeDelete {
		return "delete " + string(event.Kv.Key)
	}
	return fmt.Sprintf("put %s=%s", event.Kv.Key, event.Kv.Value)
}

// collect reads events until there are count of them, or one is an error.
func collect(channel clientv3.WatchChan, count int) []string {
	seen := []string{}
	for len(seen) < count {
		response, open := <-channel
		if !open {
			return append(seen, "closed")
		}
		if err := response.Err(); err != nil {
			return append(seen, err.Error())
		}
		for _, event := range response.Events {
			seen = append(seen, describe(event))
		}
	}
	return seen
}

func watches(ctx context.Context, client *clientv3.Client) {
	start := put(ctx, client, "w/a", "1")
	put(ctx, client, "w/b", "2")
	_, err := client.Delete(ctx, "w/a")
	check(err)

	tell("history", collect(client.Watch(ctx, "w/", clientv3.WithPrefix(), clientv3.WithRev(start)), 3))
	tell("only deletes", collect(
		client.Watch(ctx, "w/", clientv3.WithPrefix(), clientv3.WithRev(start), clientv3.WithFilterPut()), 1))

	previous := <-client.Watch(ctx, "w/a", clientv3.WithRev(start+1), clientv3.WithPrevKV())
	tell("previous value", string(previous.Events[0].PrevKv.Value))

	created := client.Watch(ctx, "w/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	first := <-created
	tell("created", first.Created)
	live := put(ctx, client, "w/c", "3")
	event := <-created
	tell("live", []any{describe(event.Events[0]), event.Header.Revision == live})

	check(client.RequestProgress(ctx))
	progress := <-created
	tell("progress", []any{progress.IsProgressNotify(), progress.Header.Revision == live})

	cancelled, cancel := context.WithCancel(ctx)
	gone := client.Watch(cancelled, "w/a")
	cancel()
	_, open := <-gone
	tell("cancelled", open)

	_, err = client.Compact(ctx, live)
	check(err)
	response := <-client.Watch(ctx, "w/a", clientv3.WithRev(start))
	tell("compacted", []any{response.Canceled, response.CompactRevision == live, response.Err() == rpctypes.ErrCompacted})

	many := []clientv3.WatchChan{}
	for i := 0; i < 200; i++ {
		many = append(many, client.Watch(ctx, fmt.Sprintf("many/%d", i%20)))
	}
	// The client creates them one after the other on one stream; the last one being there is enough.
	last := client.Watch(ctx, "many/last", clientv3.WithCreatedNotify())
	<-last
	for i := 0; i < 20; i++ {
		put(ctx, client, fmt.Sprintf("many/%d", i), "x")
	}
	seen := 0
	for _, channel := range many {
		seen += len((<-channel).Events)
	}
	tell("many watchers", seen)
}

// watchOverRestart writes numbered keys, each exactly once, while the test kills the server.
func watchOverRestart(ctx context.Context, client *clientv3.Client) {
	const total = 400
	channel := client.Watch(ctx, "re/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-channel
	go func() {
		for i := 0; i < total; i++ {
			key := fmt.Sprintf("re/%04d", i)
			for !createOnce(ctx, client, key) {
				time.Sleep(20 * time.Millisecond)
			}
			if i%100 == 50 {
				tell("wrote", i)
			}
		}
	}()
	next, revision := 0, int64(0)
	for next < total {
		response, open := <-channel
		if !open || response.Err() != nil {
			fail(fmt.Sprintf("the watch ended at key %d: %v", next, response.Err()))
		}
		for _, event := range response.Events {
			if want := fmt.Sprintf("re/%04d", next); string(event.Kv.Key) != want {
				fail(fmt.Sprintf("got %s instead of %s", event.Kv.Key, want))
			}
			if event.Kv.ModRevision <= revision {
				fail(fmt.Sprintf("revision %d after %d", event.Kv.ModRevision, revision))
			}
			next, revision = next+1, event.Kv.ModRevision
		}
	}
	tell("every key once, in order", next)
}

// createOnce is true when the key is known to exist. A write whose answer was lost is not repeated.
func createOnce(ctx context.Context, client *clientv3.Client, key string) bool {
	short, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	_, err := client.Txn(short).
		If(clientv3.Compare(clientv3.CreateRevision(key), "=", 0)).
		Then(clientv3.OpPut(key, "x")).
		Commit()
	return err == nil
}
