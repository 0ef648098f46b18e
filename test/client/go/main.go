// Command interlock takes part in locks, elections, queues and service registries with etcd's own Go
// packages, so that tests can see whether kvorum's client takes part in the same ones.
//
//	interlock <endpoint> <action> <arguments...>
//
// It prints one line for each thing that happened, and goes on with each line that it reads.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"os"
	"sort"
	"strconv"
	"strings"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	recipe "go.etcd.io/etcd/client/v3/experimental/recipes"
	"go.etcd.io/etcd/client/v3/naming/endpoints"
	etcdresolver "go.etcd.io/etcd/client/v3/naming/resolver"
	"go.uber.org/zap"
	"google.golang.org/grpc/resolver"
)

var (
	input  = bufio.NewReader(os.Stdin)
	client *clientv3.Client
	ctx    = context.Background()
)

var actions = map[string]func(args []string){
	"lock":     lock,
	"elect":    elect,
	"observe":  observe,
	"read":     func(args []string) { readWrite(args[0], true) },
	"write":    func(args []string) { readWrite(args[0], false) },
	"enter":    enter,
	"wait":     wait,
	"put":      put,
	"take":     take,
	"register": register,
	"list":     list,
	"resolve":  resolve,
}

func main() {
	var err error
	client, err = clientv3.New(clientv3.Config{
		Endpoints:   []string{os.Args[1]},
		DialTimeout: 5 * time.Second,
		Logger:      zap.NewNop(),
	})
	check(err)
	defer client.Close()
	actions[os.Args[2]](os.Args[3:])
}

func newSession() *concurrency.Session {
	session, err := concurrency.NewSession(client, concurrency.WithTTL(10))
	check(err)
	return session
}

func lock(args []string) {
	session := newSession()
	defer session.Close()
	mutex := concurrency.NewMutex(session, args[0])
	say("asking")
	check(mutex.Lock(ctx))
	say("locked", mutex.Key())
	next()
	check(mutex.Unlock(ctx))
	say("unlocked")
}

func elect(args []string) {
	session := newSession()
	defer session.Close()
	election := concurrency.NewElection(session, args[0])
	say("asking")
	check(election.Campaign(ctx, args[1]))
	say("elected", election.Rev())
	check(election.Proclaim(ctx, args[1]+" again"))
	say("proclaimed")
	next()
	check(election.Resign(ctx))
	say("resigned")
}

func observe(args []string) {
	session := newSession()
	defer session.Close()
	election := concurrency.NewElection(session, args[0])
	observing, stop := context.WithCancel(ctx)
	go func() {
		next()
		stop()
	}()
	for seen := range election.Observe(observing) {
		say("leader", string(seen.Kvs[0].Value))
	}
}

func readWrite(name string, reading bool) {
	session := newSession()
	defer session.Close()
	rw := recipe.NewRWMutex(session, name)
	say("asking")
	if reading {
		check(rw.RLock())
	} else {
		check(rw.Lock())
	}
	say("locked")
	next()
	if reading {
		check(rw.RUnlock())
	} else {
		check(rw.Unlock())
	}
	say("unlocked")
}

func enter(args []string) {
	session := newSession()
	defer session.Close()
	count, err := strconv.Atoi(args[1])
	check(err)
	barrier := recipe.NewDoubleBarrier(session, args[0], count)
	say("asking")
	check(barrier.Enter())
	say("entered")
	next()
	check(barrier.Leave())
	say("left")
}

func wait(args []string) {
	say("asking")
	check(recipe.NewBarrier(client, args[0]).Wait())
	say("through")
}

// put and take: a queue, or a priority queue if there is a priority.
func put(args []string) {
	if len(args) == 2 {
		check(recipe.NewQueue(client, args[0]).Enqueue(args[1]))
	} else {
		priority, err := strconv.Atoi(args[2])
		check(err)
		check(recipe.NewPriorityQueue(client, args[0]).Enqueue(args[1], uint16(priority)))
	}
	say("put")
}

func take(args []string) {
	var value string
	var err error
	if len(args) == 1 {
		value, err = recipe.NewQueue(client, args[0]).Dequeue()
	} else {
		value, err = recipe.NewPriorityQueue(client, args[0]).Dequeue()
	}
	check(err)
	say("took", value)
}

func register(args []string) {
	session := newSession()
	defer session.Close()
	manager, err := endpoints.NewManager(client, args[0])
	check(err)
	key := args[0] + "/" + args[1]
	endpoint := endpoints.Endpoint{Addr: args[2]}
	if len(args) > 3 {
		check(json.Unmarshal([]byte(args[3]), &endpoint.Metadata))
	}
	check(manager.AddEndpoint(ctx, key, endpoint, clientv3.WithLease(session.Lease())))
	say("registered")
	next()
	check(manager.DeleteEndpoint(ctx, key))
	say("removed")
}

func list(args []string) {
	manager, err := endpoints.NewManager(client, args[0])
	check(err)
	all, err := manager.List(ctx)
	check(err)
	line, err := json.Marshal(all)
	check(err)
	say("endpoints", string(line))
}

// sink is the connection that a resolver would tell its addresses.
type sink struct {
	resolver.ClientConn
}

func (sink) UpdateState(state resolver.State) error {
	var addresses []string
	for _, endpoint := range state.Endpoints {
		for _, address := range endpoint.Addresses {
			addresses = append(addresses, address.Addr)
		}
	}
	sort.Strings(addresses)
	say("addresses", strings.Join(addresses, ","))
	return nil
}

func resolve(args []string) {
	builder, err := etcdresolver.NewBuilder(client)
	check(err)
	target, err := url.Parse("etcd:///" + args[0])
	check(err)
	built, err := builder.Build(resolver.Target{URL: *target}, sink{}, resolver.BuildOptions{})
	check(err)
	say("resolving")
	next()
	built.Close()
}

func say(what string, more ...any) {
	fmt.Println(append([]any{what}, more...)...)
}

// next waits for a line, or for the end of the input.
func next() {
	_, _ = input.ReadString('\n')
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
