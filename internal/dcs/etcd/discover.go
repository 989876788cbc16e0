package etcd

import (
	"context"
	"net"
	"net/url"
	"slices"
	"strings"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
)

// discoverLoop keeps the endpoint list in step with etcd's members. The
// configured ones stay in front: what a member advertises may be nonsense
// (localhost is etcd's default), what is configured has worked once.
func (s *Store) discoverLoop(configured []string) {
	every := time.NewTicker(s.cfg.DiscoverEvery)
	defer every.Stop()
	for {
		select {
		case <-s.ctx.Done():
			return
		case <-every.C:
		case <-s.discover:
		}
		advertised, err := s.memberURLs(s.ctx)
		if err != nil {
			s.log.Debug("ask etcd for its members", "err", plain(err))
			continue
		}
		urls := slices.Concat(configured, usable(configured, advertised))
		if err := s.pool.set(urls); err != nil {
			s.log.Warn("use the endpoints that etcd's members advertise", "err", err)
		}
	}
}

func (s *Store) discoverSoon() {
	select {
	case s.discover <- struct{}{}:
	default:
	}
}

// memberURLs are the client URLs of the members that take requests.
func (s *Store) memberURLs(ctx context.Context) ([]string, error) {
	var urls []string
	err := s.read(ctx, func(ctx context.Context, e *endpoint) error {
		answer, err := e.members.MemberList(ctx, &pb.MemberListRequest{})
		if err != nil {
			return err
		}
		if _, ok := s.guard.accept(answer.Header); !ok {
			return errStale
		}
		urls = urls[:0]
		for _, m := range answer.Members {
			if !m.IsLearner {
				urls = append(urls, m.ClientURLs...)
			}
		}
		return nil
	})
	return urls, err
}

// usable leaves out addresses that cannot be meant for us: loopback ones, unless
// etcd was configured to be there.
func usable(configured, advertised []string) []string {
	if slices.ContainsFunc(configured, loopback) {
		return advertised
	}
	return slices.DeleteFunc(slices.Clone(advertised), loopback)
}

func loopback(raw string) bool {
	u, err := url.Parse(raw)
	if err != nil {
		return true // nobody can connect there either
	}
	host := u.Hostname()
	ip := net.ParseIP(host)
	return strings.EqualFold(host, "localhost") || ip != nil && (ip.IsLoopback() || ip.IsUnspecified())
}
