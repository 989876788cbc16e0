package etcd

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
)

// TLS names the files for https endpoints. The server's certificate is verified
// if and only if CACert is given, as in Patroni.
type TLS struct {
	CACert string
	Cert   string
	Key    string // empty: inside Cert
}

// config reads the files. The client certificate is read anew for each
// connection, so that a renewed one is used without a restart.
func (t TLS) config() (*tls.Config, error) {
	conf := &tls.Config{MinVersion: tls.VersionTLS12}
	if t.CACert == "" {
		conf.InsecureSkipVerify = true
	} else {
		pem, err := os.ReadFile(t.CACert)
		if err != nil {
			return nil, fmt.Errorf("read etcd's CA certificate: %w", err)
		}
		conf.RootCAs = x509.NewCertPool()
		if !conf.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("read etcd's CA certificate %s: no certificate in it", t.CACert)
		}
	}
	if t.Cert == "" {
		if t.Key != "" {
			return nil, errors.New("etcd's client key is given without a certificate")
		}
		return conf, nil
	}
	if _, err := t.pair(); err != nil {
		return nil, err
	}
	conf.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
		return t.pair()
	}
	return conf, nil
}

func (t TLS) pair() (*tls.Certificate, error) {
	key := t.Key
	if key == "" {
		key = t.Cert
	}
	pair, err := tls.LoadX509KeyPair(t.Cert, key)
	if err != nil {
		return nil, fmt.Errorf("read etcd's client certificate %s: %w", t.Cert, err)
	}
	return &pair, nil
}
