package store

import (
	"errors"
	"slices"
	"testing"

	"matriarch/internal/config"
)

func TestPrefix(t *testing.T) {
	for in, want := range map[[2]string]string{
		{"", "demo"}: "/service/demo/", {"service", "demo"}: "/service/demo/", {"/service/", "demo"}: "/service/demo/",
		{"//a//b/", "demo"}: "/a/b/demo/", {"/", "demo"}: "/demo/",
	} {
		if got := Prefix(in[0], in[1]); got != want {
			t.Errorf("Prefix(%q, %q) = %q, want %q", in[0], in[1], got, want)
		}
	}
}

func TestSettingsOfAnExternalStore(t *testing.T) {
	c := &config.Config{Scope: "demo", Namespace: "db", Etcd: &config.EtcdConfig{
		Hosts: []string{"10.0.0.1:2379", "10.0.0.2:2379"}, Protocol: "https", UseProxies: true, Username: "root", Password: "secret",
		CACert: "ca.pem", Cert: "own.pem", Key: "own.key", SRV: "example.com", SRVSuffix: "x",
	}}
	s, err := Settings(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if s.Prefix != "/db/demo/" || s.Scheme != "https" || !s.UseProxies || s.Username != "root" || s.Password != "secret" ||
		s.TLS.CACert != "ca.pem" || s.TLS.Cert != "own.pem" || s.TLS.Key != "own.key" || s.SRV != "example.com" || s.SRVSuffix != "x" {
		t.Errorf("got %+v", s)
	}
	if want := []string{"https://10.0.0.1:2379", "https://10.0.0.2:2379"}; !slices.Equal(s.Endpoints, want) {
		t.Errorf("got %v, want %v", s.Endpoints, want)
	}
}

func TestEmbeddedStoreIsAskedAtItsOwnServerFirst(t *testing.T) {
	c := &config.Config{Scope: "demo", Name: "n2", Embedded: &config.EmbeddedConfig{Members: []config.EmbeddedMember{
		{Name: "n1", Host: "10.0.0.1", ClientPort: 2379}, {Name: "n2", Host: "10.0.0.2", ClientPort: 3379}, {Name: "n3", Host: "::1", ClientPort: 2379},
	}}}
	s, err := Settings(c, Options{})
	if err != nil {
		t.Fatal(err)
	}
	if want := []string{"http://10.0.0.2:3379", "http://10.0.0.1:2379", "http://[::1]:2379"}; !slices.Equal(s.Endpoints, want) || !s.KeepOrder {
		t.Errorf("got %v, want %v in this order", s.Endpoints, want)
	}
}

func TestNoStore(t *testing.T) {
	if _, err := Open(t.Context(), &config.Config{Scope: "demo"}, Options{}); !errors.Is(err, ErrNone) {
		t.Errorf("got %v, want %v", err, ErrNone)
	}
}
