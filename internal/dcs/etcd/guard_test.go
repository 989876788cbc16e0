package etcd

import (
	"testing"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

func header(cluster, term uint64) *pb.ResponseHeader {
	return &pb.ResponseHeader{ClusterId: cluster, RaftTerm: term}
}

func TestGuard(t *testing.T) {
	now := time.Unix(1000, 0)
	g := &guard{now: func() time.Time { return now }}
	step := func(name string, judge func(*pb.ResponseHeader) (int, bool), h *pb.ResponseHeader, incarnation int, ok bool) {
		t.Helper()
		if gotIncarnation, gotOK := judge(h); gotIncarnation != incarnation || gotOK != ok {
			t.Errorf("%s: incarnation %d, %v; want %d, %v", name, gotIncarnation, gotOK, incarnation, ok)
		}
	}
	step("a watch before the first read", g.accept, header(7, 3), 0, false)
	step("the first read", g.acceptRead, header(7, 3), 1, true)
	step("a newer term", g.accept, header(7, 5), 1, true)
	step("an older term", g.accept, header(7, 4), 1, false)
	step("a read of an older term", g.acceptRead, header(7, 4), 1, false)
	step("another store", g.acceptRead, header(8, 9), 1, false)
	step("a write that was overtaken by a newer term", g.applied, header(7, 4), 1, true)
	step("a write into another store", g.applied, header(8, 9), 1, false)
	step("no header", g.acceptRead, nil, 1, false)
	now = now.Add(replaceAfter)
	step("a watch of an older term, long after", g.accept, header(7, 4), 1, false)
	step("a read of another store, long after", g.acceptRead, header(8, 1), 2, true)
	step("the first store again", g.accept, header(7, 9), 2, false)
}
