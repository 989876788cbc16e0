package etcd

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
)

// srvServices are the names that are looked up, in this order; the first with an
// answer wins.
var srvServices = []string{
	"_etcd-client-ssl", "_etcd-client", "_etcd-ssl", "_etcd", "_etcd-server-ssl", "_etcd-server",
}

// lookup resolves one SRV name, as "_etcd-client._tcp.example.org".
type lookup func(ctx context.Context, name string) ([]*net.SRV, error)

func resolve(ctx context.Context, name string) ([]*net.SRV, error) {
	_, records, err := net.DefaultResolver.LookupSRV(ctx, "", "", name)
	return records, err
}

// endpoints are the configured endpoints, or those of the SRV records if there are any.
func (s *Store) endpoints(ctx context.Context) ([]string, error) {
	var found []string
	if s.cfg.SRV != "" {
		found = s.fromSRV(ctx, resolve)
		if len(found) == 0 {
			s.log.Warn("no etcd endpoint found in DNS", "domain", s.cfg.SRV)
		}
	}
	if len(found) == 0 {
		found = s.cfg.urls()
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no etcd endpoint: DNS has no SRV record for %s", s.cfg.SRV)
	}
	if s.cfg.KeepOrder || s.cfg.UseProxies {
		return found, nil // the list is meant as it is
	}
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
	defer cancel()
	return eachAddress(ctx, found, net.DefaultResolver.LookupHost), nil
}

func (s *Store) fromSRV(ctx context.Context, ask lookup) []string {
	for _, service := range srvServices {
		name := service
		if s.cfg.SRVSuffix != "" {
			name += "-" + s.cfg.SRVSuffix
		}
		records, err := ask(ctx, name+"._tcp."+s.cfg.SRV)
		if err != nil {
			continue // no such name, most of the time; the end is logged by the caller
		}
		scheme := "http"
		if strings.HasSuffix(service, "-ssl") {
			scheme = "https"
		}
		var urls []string
		for _, r := range records {
			u := scheme + "://" + net.JoinHostPort(strings.TrimSuffix(r.Target, "."), strconv.Itoa(int(r.Port)))
			if !strings.Contains(service, "-server") {
				urls = append(urls, u)
				continue
			}
			peers, err := s.clientURLs(ctx, u)
			if err != nil {
				s.log.Debug("ask etcd's peer port for the members", "err", err)
			}
			urls = append(urls, peers...)
		}
		if len(urls) > 0 {
			return urls
		}
	}
	return nil
}

// clientURLs asks a member's peer port for all members' client URLs.
func (s *Store) clientURLs(ctx context.Context, peer string) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, s.cfg.RequestTimeout)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, peer+"/members", nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s for etcd's members: %w", peer, err)
	}
	transport := &http.Transport{TLSClientConfig: s.pool.conf}
	defer transport.CloseIdleConnections()
	answer, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask for etcd's members: %w", err)
	}
	defer answer.Body.Close()
	var members []struct {
		ClientURLs []string `json:"clientURLs"`
	}
	const mostBytes = 1 << 20
	if err := json.NewDecoder(io.LimitReader(answer.Body, mostBytes)).Decode(&members); err != nil {
		return nil, fmt.Errorf("read etcd's members from %s: %w", peer, err)
	}
	var urls []string
	for _, m := range members {
		urls = append(urls, m.ClientURLs...)
	}
	return urls, nil
}
