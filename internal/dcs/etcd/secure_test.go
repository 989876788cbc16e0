package etcd

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAuthentication(t *testing.T) {
	t.Parallel()
	list := servers(t, 1, "--auth-token-ttl=1")
	for _, line := range []string{
		"user add root:rootpw", "user grant-role root root",
		"user add patroni:secret", "role add patroni",
		"role grant-permission patroni --prefix=true readwrite /service/test/",
		"user grant-role patroni patroni", "auth enable",
	} {
		list[0].ctl(t, strings.Fields(line)...)
	}
	with := func(user, password string) Config {
		return Config{Endpoints: []string{list[0].client}, Prefix: "/service/test/", Username: user, Password: password}
	}
	var auth *AuthError
	for _, cfg := range []Config{with("patroni", "wrong"), with("nobody", "secret"), with("", "")} {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		_, err := Open(ctx, cfg)
		cancel()
		if !errors.As(err, &auth) || strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "wrong") {
			t.Errorf("user %q: got %v", cfg.Username, err)
		}
	}

	s := open(t, list, func(cfg *Config) { cfg.Username, cfg.Password = "patroni", "secret" })
	await(t, s, "currency", current)
	if _, _, err := s.Renew(t.Context(), time.Minute); err != nil {
		t.Fatal(err)
	}
	mustCommit(t, s, put("a", "1"))

	// Every token is void after a change of the users, and after the members
	// were started anew.
	list[0].ctl(t, "--user=root:rootpw", "user", "add", "other:x")
	mustCommit(t, s, put("a", "2"))
	list[0].kill()
	await(t, s, "loss of currency", notCurrent)
	list[0].start(t)
	await(t, s, "currency", current)
	mustCommit(t, s, put("a", "3"))
	if _, fresh, err := s.Renew(t.Context(), time.Minute); err != nil || fresh {
		t.Errorf("renew: fresh %v, %v", fresh, err)
	}

	s.SetCredentials("patroni", "changed")
	if _, err := s.Read(t.Context()); !errors.As(err, &auth) {
		t.Errorf("with wrong credentials after a reload: got %v", err)
	}
	s.SetCredentials("patroni", "secret")
	mustCommit(t, s, put("a", "4"))

	s.SetCredentials("other", "x") // a user without any right
	if _, err := s.Commit(t.Context(), put("a", "1")); err == nil || !strings.Contains(err.Error(), "permission denied") {
		t.Errorf("without the right to write: got %v", err)
	}
}

// A user name is no hindrance where etcd asks for none.
func TestCredentialsWithoutAuthentication(t *testing.T) {
	t.Parallel()
	list := servers(t, 1)
	s := open(t, list, func(cfg *Config) { cfg.Username, cfg.Password = "patroni", "secret" })
	mustCommit(t, s, put("a", "1"))
}

func TestTLS(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ca := newAuthority(t, dir, "ca")
	cert, key := ca.issue(t, dir, "both")
	list := servers(t, 1, "--cert-file="+cert, "--key-file="+key, "--trusted-ca-file="+ca.file, "--client-cert-auth")
	joined := filepath.Join(dir, "joined.pem")
	write(t, joined, append(read(t, cert), read(t, key)...))
	for _, c := range []struct {
		name string
		tls  TLS
		ok   bool
	}{
		{"verified", TLS{CACert: ca.file, Cert: cert, Key: key}, true},
		{"key inside the certificate's file", TLS{CACert: ca.file, Cert: joined}, true},
		{"not verified without a CA", TLS{Cert: cert, Key: key}, true},
		{"another CA", TLS{CACert: newAuthority(t, dir, "other").file, Cert: cert, Key: key}, false},
		{"no client certificate", TLS{CACert: ca.file}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			limit := patience
			if !c.ok {
				limit = 2 * time.Second
			}
			ctx, cancel := context.WithTimeout(t.Context(), limit)
			defer cancel()
			s, err := Open(ctx, Config{Endpoints: []string{list[0].client}, Scheme: "https", TLS: c.tls, Prefix: "/service/test/"})
			if (err == nil) != c.ok {
				t.Fatalf("got %v", err)
			}
			if err == nil {
				mustCommit(t, s, put("a", "1"))
				_ = s.Close()
			}
		})
	}
	if _, err := Open(t.Context(), Config{Endpoints: []string{"x:1"}, Prefix: "/service/test/",
		TLS: TLS{CACert: filepath.Join(dir, "missing")}}); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("missing CA: got %v", err)
	}
}

// authority is a certificate authority for a test.
type authority struct {
	file string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T, dir, name string) *authority {
	t.Helper()
	a := &authority{file: filepath.Join(dir, name+".crt"), key: newKey(t)}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	write(t, a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return a
}

// issue makes a certificate for both ends at 127.0.0.1.
func (a *authority) issue(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	k := newKey(t)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &k.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalECPrivateKey(k)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".crt"), filepath.Join(dir, name+".key")
	write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	write(t, key, pem.EncodeToMemory(&pem.Block{Type: "EC PRIVATE KEY", Bytes: private}))
	return cert, key
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, file string, content []byte) {
	t.Helper()
	if err := os.WriteFile(file, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, file string) []byte {
	t.Helper()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
