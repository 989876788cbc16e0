package api

import (
	"fmt"
	"html"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"matriarch/internal/cluster"
)

// ServeHTTP finds the handler by method and first segment of the path alone, as
// Patroni does: /patroni/anything is /patroni.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	defer s.recover(w, r)
	r.Body = http.MaxBytesReader(w, r.Body, bodyBytes)
	a := &answer{w: w, set: s.set.Load(), head: r.Method == http.MethodHead || r.Method == http.MethodOptions}
	first, rest, _ := strings.Cut(strings.TrimLeft(r.URL.EscapedPath(), "/"), "/")
	switch r.Method {
	case http.MethodHead, http.MethodOptions:
		s.health(a, r)
		return
	case http.MethodGet:
		s.get(a, r, first, rest)
		return
	}
	handler := s.handler(r.Method, first)
	if handler == nil {
		a.unsupported(r)
		return
	}
	if first == "failsafe" {
		a.set = a.set.withoutMembers()
	}
	if s.permits(a, r, s.node) {
		handler(a, r)
	}
}

// handler is what serves a request that changes something; nil: nobody.
func (s *Server) handler(method, first string) func(*answer, *http.Request) {
	switch method + " " + first {
	case "PATCH config":
		return s.patchConfig
	case "PUT config":
		return s.putConfig
	case "POST reload":
		return s.reload
	case "POST restart":
		return s.restart
	case "DELETE restart":
		return s.unscheduleRestart
	case "POST reinitialize":
		return s.reinitialize
	case "POST switchover":
		return s.switchover
	case "DELETE switchover":
		return s.unschedule
	case "POST failover":
		return s.failover
	case "POST failsafe":
		return s.failsafe
	case "POST mpp", "POST citus":
		return s.mpp
	case "POST sigterm":
		return s.sigterm
	}
	return nil
}

func (s *Server) get(a *answer, r *http.Request, first, rest string) {
	switch first {
	case "liveness":
		a.code(s.check(r).live())
	case "readiness":
		a.code(s.check(r).ready())
	case "patroni":
		a.json(http.StatusOK, s.check(r).doc())
	case "cluster":
		if view, ok := s.fresh(a, r); ok {
			a.json(http.StatusOK, describeCluster(view, s.node.Picture().Scope))
		}
	case "history":
		if rest == "explain" && s.explain(a) {
			return
		}
		if view, ok := s.cached(a, r); ok {
			a.raw(http.StatusOK, view.History.Encode())
		}
	case "config":
		if view, ok := s.cached(a, r); ok && view.Config.Valid {
			a.json(http.StatusOK, view.Config.Document)
		} else if ok {
			a.page(http.StatusBadGateway, "There is no dynamic configuration yet")
		}
	case "failsafe":
		s.failsafeKey(a)
	case "metrics":
		s.metrics(a, r)
	case "reload":
		if rest != "result" || !s.reloaded(a, r) {
			s.health(a, r)
		}
	case "heartbeat":
		if !s.heartbeats(a, r) {
			s.health(a, r)
		}
	default:
		s.health(a, r)
	}
}

// check prepares a health check. The server is asked at most once, and only if
// the answer depends on it.
func (s *Server) check(r *http.Request) check {
	p := s.node.Picture()
	path := r.URL.EscapedPath()
	return check{path: path, query: r.URL.Query(), now: s.now(), node: p, doc: sync.OnceValue(func() status {
		postgres := ask(r.Context(), s.node, p)
		return postgres.describe(p, s.set.Load().Version)
	})}
}

func (s *Server) health(a *answer, r *http.Request) {
	c := s.check(r)
	ok := c.ok()
	if a.head {
		a.code(ok)
		return
	}
	status := http.StatusServiceUnavailable
	if ok {
		status = http.StatusOK
	}
	a.json(status, c.doc())
}

// fresh reads the cluster from the store. Without an answer the connection is
// closed in silence: to Patroni's tools that is "ask another way", while any
// status code would be taken as the final word.
func (s *Server) fresh(a *answer, r *http.Request) (cluster.View, bool) {
	view, err := s.node.Read(r.Context())
	if err != nil {
		s.log.Warn("a request was left unanswered because the store did not answer", "path", r.URL.Path, "err", err)
		a.hangUp()
	}
	return view, err == nil
}

// cached is the view at hand, or a fresh one where that is too old.
func (s *Server) cached(a *answer, r *http.Request) (cluster.View, bool) {
	if view := s.node.Picture().View; view != nil {
		return *view, true
	}
	return s.fresh(a, r)
}

// settings are those of a view that was read just now. Where the document is refused
// those in force count, but for the pause, which is read straight from it
// (compat/config.md §1.2).
func (s *Server) settings(view cluster.View) cluster.Settings {
	settings, _, err := cluster.ReadSettings(view.Config.Document)
	if err != nil {
		settings = s.node.Picture().Settings
		settings.Pause = cluster.Truth(view.Config.Document["pause"])
	}
	return settings
}

// mpp takes the word of a Citus worker's leader. Without Citus there is nothing to do
// with it, and 200 is the answer whatever it says (compat/rest-api.md §16).
func (s *Server) mpp(a *answer, r *http.Request) {
	if _, ok := a.object(r); ok {
		a.text(http.StatusOK, "OK")
	}
}

// sigterm is there for the tests of Patroni on Windows, and does nothing elsewhere.
func (s *Server) sigterm(a *answer, _ *http.Request) {
	a.text(http.StatusAccepted, "shutdown scheduled")
}

// recover keeps a fault in a handler from taking the node down. The client
// learns that there was one, the log learns which.
func (s *Server) recover(w http.ResponseWriter, r *http.Request) {
	fault := recover()
	if fault == nil {
		return
	}
	if fault == http.ErrAbortHandler {
		panic(fault) // the library's own way to close a connection in silence
	}
	s.log.Error("a request found a fault in the REST API", "method", r.Method, "path", r.URL.Path, "err", fault, "stack", string(debug.Stack()))
	(&answer{w: w, set: s.set.Load()}).page(http.StatusInternalServerError, "Internal error; the node's log says more")
}

// answer writes the three kinds of responses of compat/rest-api.md §1.
type answer struct {
	w    http.ResponseWriter
	set  *settings
	head bool
}

func (a *answer) headers(contentType string) {
	h := a.w.Header()
	h.Set("Server", a.server())
	h.Set("Content-Type", contentType)
	for name, value := range a.set.Headers {
		h.Set(name, value)
	}
	if a.set.certificate != nil {
		for name, value := range a.set.HTTPSHeaders {
			h.Set(name, value)
		}
	}
}

func (a *answer) server() string {
	switch strings.ToLower(a.set.ServerTokens) {
	case "minimal":
		return "Patroni/" + a.set.Version
	case "productonly":
		return "Patroni"
	}
	return a.set.Product
}

func (a *answer) json(code int, doc any) {
	a.raw(code, cluster.EncodeJSON(doc))
}

func (a *answer) raw(code int, body []byte) {
	a.headers("application/json")
	a.write(code, body)
}

func (a *answer) text(code int, text string) {
	a.headers("text/html")
	a.write(code, []byte(text))
}

// page is an error page: without the configured headers, and the connection ends.
func (a *answer) page(code int, text string) {
	h := a.w.Header()
	h.Set("Server", a.server())
	h.Set("Content-Type", "text/html;charset=utf-8")
	h.Set("Connection", "close")
	body := fmt.Sprintf("<!DOCTYPE HTML>\n<html><head><title>Error response</title></head><body>\n<h1>Error response</h1>\n"+
		"<p>Error code: %d</p>\n<p>Message: %s.</p>\n</body></html>\n", code, html.EscapeString(text))
	a.write(code, []byte(body))
}

// unsupported is the answer to what this node does not do. patronictl looks for the
// sentence.
func (a *answer) unsupported(r *http.Request) {
	a.page(http.StatusNotImplemented, fmt.Sprintf("Unsupported method (%s). Server does not support this operation", quoted(r.Method)))
}

// code answers with the status alone.
func (a *answer) code(ok bool) {
	if ok {
		a.w.WriteHeader(http.StatusOK)
		return
	}
	a.w.WriteHeader(http.StatusServiceUnavailable)
}

func (a *answer) write(code int, body []byte) {
	a.deadline(time.Now().Add(writeTimeout))
	a.w.Header().Set("Content-Length", fmt.Sprint(len(body)))
	a.w.WriteHeader(code)
	_, _ = a.w.Write(body) // a client that is gone needs no answer
}

// hangUp closes the connection without a response.
func (a *answer) hangUp() { panic(http.ErrAbortHandler) }

// unhurried lets the answer come whenever it is ready. From then on the client has
// the usual time to take it.
func (a *answer) unhurried() { a.deadline(time.Time{}) }

func (a *answer) deadline(at time.Time) {
	// Not supported only by recorders in tests, which do not time out.
	_ = http.NewResponseController(a.w).SetWriteDeadline(at)
}

func quoted(s string) string { return "'" + s + "'" }
