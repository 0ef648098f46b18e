// Command interop drives etcd's own Go client against the server given as its second argument.
//
// The first argument names a scenario. Each prints JSON objects {"name": ..., "value": ...}, one a
// line; go-client.test.ts says what each value must be.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.uber.org/zap"
)

// scenario is one part of the client's surface.
type scenario func(ctx context.Context, client *clientv3.Client)

var scenarios = map[string]scenario{
	"kv":          kv,
	"txn":         txn,
	"leases":      leases,
	"concurrency": concurrencyRecipes,
	"namespace":   namespaces,
	"mirror":      mirrors,
	"naming":      naming,
	"ordering":    orderedReads,
	"watch":       watches,
	"restart":     watchOverRestart,
	"maintenance": maintenance,
	"membership":  membership,
}

func main() {
	if len(os.Args) != 3 || scenarios[os.Args[1]] == nil {
		fail("usage: interop <scenario> <endpoint>")
	}
	client := dial(os.Args[2])
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Second)
	defer cancel()
	scenarios[os.Args[1]](ctx, client)
	tell("done", true)
}

func dial(endpoint string) *clientv3.Client {
	client, err := clientv3.New(clientv3.Config{
		Endpoints:   []string{endpoint},
		DialTimeout: 5 * time.Second,
		Logger:      zap.NewNop(),
	})
	check(err)
	return client
}

// tell prints one observation.
func tell(name string, value any) {
	line, err := json.Marshal(map[string]any{"name": name, "value": value})
	check(err)
	fmt.Println(string(line))
}

// check ends the program with the error's text; the test shows it.
func check(err error) {
	if err != nil {
		fail(err.Error())
	}
}

func fail(why string) {
	fmt.Fprintln(os.Stderr, why)
	os.Exit(1)
}

// errText is the text of an error, or "" without one.
func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
