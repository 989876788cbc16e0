package etcd

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// zone answers SRV questions from a table.
func zone(records map[string][]*net.SRV, asked *[]string) lookup {
	return func(_ context.Context, name string) ([]*net.SRV, error) {
		*asked = append(*asked, name)
		if r, ok := records[name]; ok {
			return r, nil
		}
		return nil, errors.New("no such host")
	}
}

func TestSRV(t *testing.T) {
	peer := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/members" {
			_, _ = w.Write([]byte(`[{"id":1,"clientURLs":["http://10.0.0.1:2379"]},{"id":2,"clientURLs":["http://10.0.0.2:2379"]}]`))
		}
	}))
	defer peer.Close()
	host, portText, _ := net.SplitHostPort(peer.Listener.Addr().String())
	port, _ := strconv.Atoi(portText)

	for _, c := range []struct {
		name, suffix string
		records      map[string][]*net.SRV
		want         []string
	}{
		{"secure clients come first", "", map[string][]*net.SRV{
			"_etcd-client-ssl._tcp.example.org": {{Target: "a.example.org.", Port: 2379}, {Target: "b.example.org.", Port: 2380}},
			"_etcd-client._tcp.example.org":     {{Target: "c.example.org.", Port: 2379}},
		}, []string{"https://a.example.org:2379", "https://b.example.org:2380"}},
		{"the suffix follows the service", "prod", map[string][]*net.SRV{
			"_etcd-client._tcp.example.org":      {{Target: "a.example.org.", Port: 1}},
			"_etcd-client-prod._tcp.example.org": {{Target: "b.example.org.", Port: 2}},
		}, []string{"http://b.example.org:2"}},
		{"servers are asked for the members' client addresses", "", map[string][]*net.SRV{
			"_etcd-server._tcp.example.org": {{Target: host, Port: uint16(port)}},
		}, []string{"http://10.0.0.1:2379", "http://10.0.0.2:2379"}},
		{"nothing found", "", nil, nil},
	} {
		s := &Store{
			cfg:  Config{SRV: "example.org", SRVSuffix: c.suffix, RequestTimeout: time.Second},
			pool: &pool{}, log: slog.New(slog.DiscardHandler),
		}
		var asked []string
		got := s.fromSRV(t.Context(), zone(c.records, &asked))
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: got %v, want %v; asked %s", c.name, got, c.want, strings.Join(asked, " "))
		}
	}
}

func TestUsableAdvertisedAddresses(t *testing.T) {
	advertised := []string{"http://localhost:2379", "http://10.0.0.2:2379", "http://[::1]:2379", "http://0.0.0.0:2379"}
	if got := usable([]string{"http://10.0.0.1:2379"}, advertised); !slices.Equal(got, []string{"http://10.0.0.2:2379"}) {
		t.Errorf("from afar: %v", got)
	}
	if got := usable([]string{"http://127.0.0.1:2379"}, advertised); !slices.Equal(got, advertised) {
		t.Errorf("on one machine: %v", got)
	}
}

func TestConfigTellsAllFaultsAtOnce(t *testing.T) {
	_, err := Config{Scheme: "ftp", Prefix: "service/x"}.prepared()
	for _, want := range []string{`"ftp"`, "no etcd endpoint", `"service/x"`} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s is not in: %v", want, err)
		}
	}
}
