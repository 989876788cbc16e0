package api

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"
	"time"
)

// Access says who may call the endpoints that change something. Everything that
// only reads is open to everybody.
type Access struct {
	Username       string
	Password       string
	Allowlist      []string // CIDR, address or host name; empty: everybody
	IncludeMembers bool     // addresses of the members' APIs as well
}

// resolveTimeout bounds each look-up of a host name.
const resolveTimeout = 2 * time.Second

// gate is Access made ready: names are resolved when the options are read.
type gate struct {
	networks    []netip.Prefix
	limited     bool // an allowlist was given, even if nothing of it is usable
	members     bool
	certificate bool
	credentials *[sha256.Size]byte // of user:password; nil: no authentication
}

func newGate(ctx context.Context, a Access, certificate *tls.Config) (gate, []error) {
	g := gate{limited: len(a.Allowlist) > 0, members: a.IncludeMembers}
	g.certificate = certificate != nil && certificate.ClientAuth != tls.NoClientCert
	if a.Username != "" || a.Password != "" {
		sum := sha256.Sum256([]byte(a.Username + ":" + a.Password))
		g.credentials = &sum
	}
	var faults []error
	for _, entry := range a.Allowlist {
		networks, err := parseNetwork(ctx, entry)
		if err != nil {
			faults = append(faults, err)
		}
		g.networks = append(g.networks, networks...)
	}
	return g, faults
}

func parseNetwork(ctx context.Context, entry string) ([]netip.Prefix, error) {
	if p, err := netip.ParsePrefix(entry); err == nil {
		return []netip.Prefix{p.Masked()}, nil
	}
	addresses, err := resolve(ctx, entry)
	if err != nil {
		return nil, fmt.Errorf("resolve %q: %w", entry, err)
	}
	var out []netip.Prefix
	for _, a := range addresses {
		out = append(out, netip.PrefixFrom(a, a.BitLen()))
	}
	return out, nil
}

func resolve(ctx context.Context, host string) ([]netip.Addr, error) {
	if a, err := netip.ParseAddr(host); err == nil {
		return []netip.Addr{a.Unmap()}, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	found, err := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	for i := range found {
		found[i] = found[i].Unmap()
	}
	return found, err
}

// refusal is an answer that ends a request.
type refusal struct {
	code int
	text string
}

// check applies the rules in Patroni's order: address, certificate, password. Nil
// lets the request pass.
func (g gate) check(r *http.Request, node Node) *refusal {
	if (g.limited || g.members) && !g.allows(r, node) {
		return &refusal{http.StatusForbidden, "Access is denied"}
	}
	if g.certificate && (r.TLS == nil || len(r.TLS.PeerCertificates) == 0) {
		return &refusal{http.StatusForbidden, "client certificate required"}
	}
	if g.credentials == nil {
		return nil
	}
	header := r.Header.Get("Authorization")
	if header == "" {
		return &refusal{http.StatusUnauthorized, "no auth header received"}
	}
	// The scheme's case matters to Patroni, and nobody has relied on another one.
	encoded, _ := strings.CutPrefix(header, "Basic ")
	given, err := base64.StdEncoding.DecodeString(encoded)
	// Digests have one length, so that the time of the comparison tells nothing.
	sum := sha256.Sum256(given)
	if subtle.ConstantTimeCompare(sum[:], g.credentials[:]) != 1 || err != nil || encoded == header {
		return &refusal{http.StatusUnauthorized, "not authenticated"}
	}
	return nil
}

func (g gate) allows(r *http.Request, node Node) bool {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return false
	}
	caller := from.Addr().Unmap().WithZone("")
	if slices.ContainsFunc(g.networks, func(p netip.Prefix) bool { return p.Contains(caller) }) {
		return true
	}
	view := node.Picture().View
	if !g.members || view == nil {
		return false
	}
	for _, m := range view.Members {
		u, err := url.Parse(m.APIURL)
		if err != nil || u.Hostname() == "" {
			continue
		}
		// A name that cannot be resolved now lets nobody in.
		addresses, _ := resolve(r.Context(), u.Hostname())
		if slices.Contains(addresses, caller) {
			return true
		}
	}
	return false
}
