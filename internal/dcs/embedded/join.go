package embedded

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	"go.etcd.io/etcd/client/pkg/v3/types"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/membership"
)

// standing is this node's place in the cluster as a running member tells it.
type standing int

const (
	// unheardOf: nobody answers, or nobody has a cluster yet. Found it together.
	unheardOf standing = iota
	// awaited: the cluster is being founded and counts on this member.
	awaited
	// admitted: added to a living cluster, and never started since.
	admitted
	// bereft: it took part before, and its data is gone.
	bereft
	// stranger: the cluster lives, without this member.
	stranger
)

const (
	askTimeout    = time.Second
	changeTimeout = 5 * time.Second
	joinAgain     = 500 * time.Millisecond
)

// join decides how a member without data starts, and sets ec accordingly.
//
// A member must not simply start anew under the identity it had: it has
// forgotten which entries it promised to keep, and could help to elect a leader
// that lacks them. So the old identity is removed from the cluster, and a new
// one added.
func (c Config) join(ctx context.Context, ec *embed.Config) error {
	for {
		members, where := c.ask(ctx)
		var err error
		switch where {
		case unheardOf, awaited:
			return nil
		case admitted:
			c.asExisting(ec, members)
			return nil
		default:
			c.Logger.Info("this node's etcd data is gone or never was; asking the others to take it in",
				"data_dir", c.DataDir)
			var listed []*pb.Member
			if listed, err = c.readmit(ctx, members); err == nil {
				c.asExisting(ec, fromList(listed))
				return nil
			}
		}
		c.Logger.Info("the members of embedded etcd did not take this node in yet", "err", err)
		timer := time.NewTimer(joinAgain)
		select {
		case <-ctx.Done():
			timer.Stop()
			return fmt.Errorf("join the cluster of embedded etcd: its members know this node, but %s holds no data, "+
				"and no majority of the others could exchange the member; start them, or if they are lost, "+
				"restore the data directory of one of them: %w", c.DataDir, errors.Join(ctx.Err(), err))
		case <-timer.C:
		}
	}
}

// ask asks the other members' peer ports, which answer without a majority.
func (c Config) ask(ctx context.Context) ([]membership.Member, standing) {
	own, _ := c.own()
	heard := unheardOf
	var from []membership.Member
	for _, m := range c.Members {
		if m.Name == c.Name {
			continue
		}
		members, err := c.membersAt(ctx, c.peerURL(m))
		if err != nil {
			c.Logger.Debug("ask a member of embedded etcd for the others", "member", m.Name, "err", err)
			continue
		}
		if where := c.standingIn(members, c.peerURL(own)); where > heard {
			heard, from = where, members
		}
	}
	return from, heard
}

func (c Config) standingIn(members []membership.Member, peerURL string) standing {
	lives := false
	for _, m := range members {
		lives = lives || len(m.ClientURLs) > 0
		if !slices.Contains(m.PeerURLs, peerURL) {
			continue
		}
		switch {
		case len(m.ClientURLs) > 0:
			return bereft
		case m.ID == c.founderID(peerURL):
			return awaited
		default:
			return admitted
		}
	}
	if lives {
		return stranger
	}
	return unheardOf
}

// founderID is the id that a member has which founded the cluster; one that was
// added later has another.
func (c Config) founderID(peerURL string) types.ID {
	urls, err := types.NewURLs([]string{peerURL})
	if err != nil {
		return 0
	}
	return membership.NewMember("", urls, c.ClusterToken, nil).ID
}

func (c Config) membersAt(ctx context.Context, peerURL string) ([]membership.Member, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	web, err := transport.NewTransport(c.PeerTLS.info(), askTimeout)
	if err != nil {
		return nil, fmt.Errorf("read the peer certificate of embedded etcd: %w", err)
	}
	defer web.CloseIdleConnections()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, peerURL+"/members", nil)
	if err != nil {
		return nil, err
	}
	answer, err := (&http.Client{Transport: web}).Do(request)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	var members []membership.Member
	const mostBytes = 1 << 20
	if err := json.NewDecoder(io.LimitReader(answer.Body, mostBytes)).Decode(&members); err != nil {
		return nil, fmt.Errorf("read the members from %s: %w", peerURL, err)
	}
	return members, nil
}

// readmit removes this node's old member, if there is one, and adds it anew.
// Either needs a majority of the cluster.
func (c Config) readmit(ctx context.Context, members []membership.Member) ([]*pb.Member, error) {
	own, _ := c.own()
	peerURL := c.peerURL(own)
	var urls []string
	for _, m := range members {
		if !slices.Contains(m.PeerURLs, peerURL) {
			urls = append(urls, m.ClientURLs...)
		}
	}
	if len(urls) == 0 {
		return nil, errors.New("no other member takes requests")
	}
	client, err := c.client(urls)
	if err != nil {
		return nil, err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(ctx, changeTimeout)
	defer cancel()
	for _, m := range members {
		if slices.Contains(m.PeerURLs, peerURL) {
			if _, err := client.MemberRemove(ctx, uint64(m.ID)); err != nil {
				return nil, fmt.Errorf("remove the member that lost its data: %w", err)
			}
		}
	}
	added, err := client.MemberAdd(ctx, []string{peerURL})
	if err != nil {
		return nil, fmt.Errorf("add this node as a new member: %w", err)
	}
	return added.Members, nil
}

// asExisting makes ec join a living cluster, whose member list it must name
// exactly.
func (c Config) asExisting(ec *embed.Config, members []membership.Member) {
	own, _ := c.own()
	var initial []string
	for _, m := range members {
		name := m.Name
		if slices.Contains(m.PeerURLs, c.peerURL(own)) {
			name = c.Name
		} else if name == "" {
			name = "member-" + m.ID.String() // added, and not started yet
		}
		for _, u := range m.PeerURLs {
			initial = append(initial, name+"="+u)
		}
	}
	ec.InitialCluster = strings.Join(initial, ",")
	ec.ClusterState = embed.ClusterStateFlagExisting
}

func fromList(list []*pb.Member) []membership.Member {
	var members []membership.Member
	for _, m := range list {
		members = append(members, membership.Member{
			ID:             types.ID(m.ID),
			RaftAttributes: membership.RaftAttributes{PeerURLs: m.PeerURLs, IsLearner: m.IsLearner},
			Attributes:     membership.Attributes{Name: m.Name, ClientURLs: m.ClientURLs},
		})
	}
	return members
}
