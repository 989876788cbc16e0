package etcd

import (
	"cmp"
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"
)

// pool holds the endpoints and which of them is in use. It stays with one until
// that one fails; with a home, the first of all, it is that one again for the next request.
type pool struct {
	home        bool
	conf        *tls.Config
	dialTimeout time.Duration

	mu     sync.Mutex
	all    []*endpoint
	at     int
	closed bool
}

// set makes urls the list. Connections to those already known are kept.
func (p *pool) set(urls []string) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil
	}
	var used *endpoint
	if len(p.all) > 0 {
		used = p.all[p.at]
	}
	known := make(map[string]*endpoint, len(p.all))
	for _, e := range p.all {
		known[e.url] = e
	}
	var list []*endpoint
	var errs []error
	for _, url := range urls {
		if slices.ContainsFunc(list, func(e *endpoint) bool { return e.url == url }) {
			continue
		}
		e := known[url]
		if e == nil {
			var err error
			if e, err = newEndpoint(url, p.conf, p.dialTimeout); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		delete(known, url)
		list = append(list, e)
	}
	if len(list) == 0 {
		return errors.Join(errs...)
	}
	for _, gone := range known {
		gone.close()
	}
	p.all = list
	p.at = max(0, slices.Index(list, used))
	return errors.Join(errs...)
}

// inOrder is every endpoint: those first that others wait for the least, and among them
// the one in use. A member that is silent is so noticed long before the first request to
// it is given up, and a transaction that is sent again meanwhile goes to another.
func (p *pool) inOrder() []*endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := p.at
	if p.home {
		at = 0
	}
	list := append(slices.Clone(p.all[at:]), p.all[:at]...)
	waiting := make(map[*endpoint]int, len(list)) // it may change while we sort
	for _, e := range list {
		waiting[e] = e.waiting()
	}
	slices.SortStableFunc(list, func(a, b *endpoint) int { return cmp.Compare(waiting[a], waiting[b]) })
	return list
}

// atHome is the member in this process; nil: there is none.
func (p *pool) atHome() *endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.home || len(p.all) == 0 {
		return nil
	}
	return p.all[0]
}

// failed moves on to the next endpoint if e is the one in use.
func (p *pool) failed(e *endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.all) > 0 && p.all[p.at] == e {
		p.at = (p.at + 1) % len(p.all)
	}
}

// works makes e the one in use: it has just answered.
func (p *pool) works(e *endpoint) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at := slices.Index(p.all, e); at >= 0 {
		p.at = at
	}
}

func (p *pool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.closed = true
	for _, e := range p.all {
		e.close()
	}
}
