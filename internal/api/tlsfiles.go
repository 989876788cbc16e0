package api

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"strings"
)

// TLSFiles are the certificate options of the restapi section. Without CertFile
// the API speaks plain HTTP.
type TLSFiles struct {
	CertFile    string
	KeyFile     string // empty: the key is in CertFile
	KeyPassword string
	CAFile      string // verifies clients; empty: the system's
	Verify      string // none, optional or required
	Ciphers     string // OpenSSL's list; empty: the library's choice
}

// load reads the files. Nil without TLS.
func (f TLSFiles) load() (*tls.Config, error) {
	if f.CertFile == "" {
		return nil, nil
	}
	pair, err := LoadKeyPair(f.CertFile, f.KeyFile, f.KeyPassword)
	if err != nil {
		return nil, err
	}
	c := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"http/1.1"}}
	if c.CipherSuites, err = cipherSuites(f.Ciphers); err != nil {
		return nil, err
	}
	switch strings.ToLower(f.Verify) {
	case "required":
		c.ClientAuth = tls.RequireAndVerifyClientCert
	case "optional":
		c.ClientAuth = tls.VerifyClientCertIfGiven
	case "", "none":
	default:
		return nil, fmt.Errorf("restapi.verify_client %q is none of none, optional, required", f.Verify)
	}
	if f.CAFile != "" {
		if c.ClientCAs, err = LoadCAs(f.CAFile); err != nil {
			return nil, err
		}
	}
	return c, nil
}

// LoadKeyPair reads a certificate and its key, which may be in the same file and
// under a password.
func LoadKeyPair(certFile, keyFile, password string) (tls.Certificate, error) {
	if keyFile == "" {
		keyFile = certFile
	}
	cert, err := os.ReadFile(certFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read certificate: %w", err)
	}
	key, err := os.ReadFile(keyFile)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read key: %w", err)
	}
	if key, err = openKey(key, password); err != nil {
		return tls.Certificate{}, fmt.Errorf("read key %s: %w", keyFile, err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("read certificate %s with key %s: %w", certFile, keyFile, err)
	}
	return pair, nil
}

// openKey decrypts a key in the old PEM encryption. The newer one (PKCS #8) is
// not in Go's library.
func openKey(data []byte, password string) ([]byte, error) {
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			return data, nil
		}
		if block.Type == "ENCRYPTED PRIVATE KEY" {
			return nil, fmt.Errorf("the key is encrypted in the PKCS #8 form, which is not supported: write it without a password, with mode 0600")
		}
		//lint:ignore SA1019 the format is weak, but it is what keyfile_password means
		if x509.IsEncryptedPEMBlock(block) {
			//lint:ignore SA1019 as above
			der, err := x509.DecryptPEMBlock(block, []byte(password))
			if err != nil {
				return nil, fmt.Errorf("decrypt: %w", err)
			}
			return pem.EncodeToMemory(&pem.Block{Type: block.Type, Bytes: der}), nil
		}
	}
}

// LoadCAs reads the certificates to trust.
func LoadCAs(file string) (*x509.CertPool, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("read CA certificates: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(data) {
		return nil, fmt.Errorf("read CA certificates from %s: there are none in it", file)
	}
	return pool, nil
}
