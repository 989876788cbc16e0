package api

import (
	"crypto/tls"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestCiphers(t *testing.T) {
	const gcm, chacha, cbc = tls.TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, tls.TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, tls.TLS_RSA_WITH_AES_256_CBC_SHA
	for list, want := range map[string][]uint16{
		"":                            nil,
		"ECDHE-RSA-AES128-GCM-SHA256": {gcm},
		"ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-CHACHA20-POLY1305": {gcm, chacha},
		"AES256-SHA:TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256":          {cbc, gcm},
		"ECDHE-RSA-AES128-GCM-SHA256:!aNULL:@STRENGTH":              {gcm},
		"ECDHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES128-GCM-SHA256":     {gcm}, // the library has no DHE
		"HIGH:!aNULL:!MD5":                         nil,
		"ECDHE-RSA-AES128-GCM-SHA256:ECDHE+AESGCM": nil,
	} {
		if got, err := cipherSuites(list); err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: got %x, %v, want %x", list, got, err, want)
		}
	}
	if got, err := cipherSuites("DHE-RSA-AES128-GCM-SHA256"); err == nil || !strings.Contains(err.Error(), "DHE-RSA-AES128-GCM-SHA256") {
		t.Errorf("none that is supported: got %x, %v", got, err)
	}
}

// TestCipherNamesAreOpenSSLs asks OpenSSL itself.
func TestCipherNamesAreOpenSSLs(t *testing.T) {
	openssl, err := exec.LookPath("openssl")
	if err != nil {
		t.Skip("needs openssl")
	}
	out, err := exec.CommandContext(t.Context(), openssl, "ciphers", "-stdname", "-v", "ALL").Output()
	if err != nil {
		t.Skip(err)
	}
	found := 0
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line) // TLS_… - NAME TLSv1.2 …
		if len(fields) < 4 || fields[3] == "TLSv1.3" {
			continue
		}
		for _, s := range tls.CipherSuites() {
			if s.Name != fields[0] {
				continue
			}
			found++
			if got := openSSLName(s.Name); got != fields[2] {
				t.Errorf("%s: got %s, want %s", s.Name, got, fields[2])
			}
		}
	}
	if found < 6 {
		t.Errorf("only %d suites are known to both", found)
	}
}

func TestCiphersAreInForce(t *testing.T) {
	file := filepath.Join(t.TempDir(), "node.pem")
	issue(t, file, 1)
	at := run(t, newServer(t, primary(), local, func(o *Options) {
		o.TLS = TLSFiles{CertFile: file, Ciphers: "ECDHE-ECDSA-AES256-GCM-SHA384"}
	}))
	for suite, want := range map[uint16]bool{tls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384: true, tls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256: false} {
		c, err := tls.Dial("tcp", at, &tls.Config{InsecureSkipVerify: true, MaxVersion: tls.VersionTLS12, CipherSuites: []uint16{suite}})
		if (err == nil) != want {
			t.Errorf("%s: %v", tls.CipherSuiteName(suite), err)
		}
		if err == nil {
			c.Close()
		}
	}
	if _, err := New(t.Context(), Options{TLS: TLSFiles{CertFile: file, Ciphers: "NO-SUCH-SUITE"}}, primary(), nil); err == nil {
		t.Error("a list without one usable suite was taken")
	}
}
