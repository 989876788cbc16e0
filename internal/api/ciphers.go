package api

import (
	"crypto/tls"
	"fmt"
	"slices"
	"strings"
)

// cipherSuites turns OpenSSL's list of ciphers, as in restapi.ciphers, into those of
// the library. It counts for TLS 1.2 only, as in Patroni: those of 1.3 are fixed. Nil
// are the library's own choice, which is all that is thought strong; a list that names
// groups (HIGH, ECDHE+AESGCM) rather than suites comes to that as well. Weak suites
// are used only if they are named.
func cipherSuites(list string) ([]uint16, error) {
	known := map[string]uint16{}
	for _, s := range slices.Concat(tls.CipherSuites(), tls.InsecureCipherSuites()) {
		known[openSSLName(s.Name)], known[s.Name] = s.ID, s.ID
	}
	var suites []uint16
	groups, unknown := false, []string(nil)
	for _, name := range strings.FieldsFunc(list, func(r rune) bool { return r == ':' || r == ',' || r == ' ' }) {
		id, ok := known[name]
		switch {
		case ok:
			suites = append(suites, id)
		case strings.HasPrefix(name, "!") || strings.HasPrefix(name, "-") || strings.HasPrefix(name, "@"):
			// what it leaves out is not among the library's choice, or it sorts
		case strings.Count(name, "-") >= 2: // looks like a suite, and is none that we have
			unknown = append(unknown, name)
		default:
			groups = true
		}
	}
	if groups {
		return nil, nil
	}
	if suites == nil && unknown != nil {
		return nil, fmt.Errorf("restapi.ciphers names none that is supported: %s", strings.Join(unknown, ", "))
	}
	return suites, nil
}

// openSSLName is what OpenSSL calls a suite of TLS 1.2 (ciphers(1)).
func openSSLName(name string) string {
	name = strings.TrimPrefix(name, "TLS_")
	exchange, cipher, ok := strings.Cut(name, "_WITH_")
	if !ok {
		return name
	}
	cipher = strings.NewReplacer("AES_128", "AES128", "AES_256", "AES256", "_CBC", "", "CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305",
		"3DES_EDE", "DES-CBC3", "RC4_128", "RC4").Replace(cipher)
	if exchange != "RSA" {
		cipher = exchange + "_" + cipher
	}
	return strings.ReplaceAll(cipher, "_", "-")
}
