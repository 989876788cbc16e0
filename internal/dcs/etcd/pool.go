package etcd

import (
	"crypto/tls"
	"errors"
	"slices"
	"sync"
	"time"
)

// pool holds the endpoints and which of them is in use. It stays with one until
// that one fails.
type pool struct {
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

// inOrder is every endpoint, the one in use first.
func (p *pool) inOrder() []*endpoint {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append(slices.Clone(p.all[p.at:]), p.all[:p.at]...)
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
