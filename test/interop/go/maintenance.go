package main

import (
	"context"
	"crypto/sha256"
	"io"

	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	clientv3 "go.etcd.io/etcd/client/v3"
)

func maintenance(ctx context.Context, client *clientv3.Client) {
	endpoint := client.Endpoints()[0]
	status, err := client.Status(ctx, endpoint)
	check(err)
	tell("status", []any{status.Leader == status.Header.MemberId, status.IsLearner, status.DbSize > 0})

	members, err := client.MemberList(ctx)
	check(err)
	tell("members", []any{len(members.Members), members.Members[0].ID == status.Header.MemberId})
	check(client.Sync(ctx))
	tell("synced endpoints", len(client.Endpoints()))

	_, err = client.HashKV(ctx, endpoint, 0)
	check(err)
	_, err = client.Defragment(ctx, endpoint)
	check(err)
	_, err = client.MoveLeader(ctx, 1234)
	tell("bad transferee", err == rpctypes.ErrBadLeaderTransferee)
	alarms, err := client.AlarmDisarm(ctx, &clientv3.AlarmMember{})
	check(err)
	tell("alarms", len(alarms.Alarms))

	snapshot, err := client.Snapshot(ctx)
	check(err)
	content, err := io.ReadAll(snapshot)
	check(err)
	body, trailer := content[:len(content)-sha256.Size], content[len(content)-sha256.Size:]
	digest := sha256.Sum256(body)
	tell("snapshot", []any{len(content) % 512, string(digest[:]) == string(trailer)})

	strict := clientv3.WithRequireLeader(ctx)
	_, err = client.Get(strict, "any")
	check(err)
	response := <-client.Watch(strict, "any", clientv3.WithCreatedNotify())
	tell("with require leader", response.Created)
}

// membership adds a learner that never starts, and removes it again.
func membership(ctx context.Context, client *clientv3.Client) {
	_, err := client.MemberRemove(ctx, 1234)
	tell("unknown member", err == rpctypes.ErrMemberNotFound)
	added, err := client.MemberAddAsLearner(ctx, []string{"http://127.0.0.1:9"})
	check(err)
	tell("added", []any{added.Member.IsLearner, added.Member.Name, len(added.Members)})
	_, err = client.MemberPromote(ctx, added.Member.ID)
	tell("not in sync", err == rpctypes.ErrMemberLearnerNotReady)
	_, err = client.MemberUpdate(ctx, added.Member.ID, []string{"http://127.0.0.1:10"})
	check(err)
	list, err := client.MemberList(ctx)
	check(err)
	urls := []string{}
	for _, member := range list.Members {
		if member.ID == added.Member.ID {
			urls = member.PeerURLs
		}
	}
	tell("updated", urls)
	removed, err := client.MemberRemove(ctx, added.Member.ID)
	check(err)
	tell("removed", len(removed.Members))
}
