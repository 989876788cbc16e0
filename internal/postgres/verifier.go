package postgres

import (
	"crypto/hmac"
	"crypto/md5"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// scramIterations is PostgreSQL's default (scram-common.h,
// SCRAM_SHA_256_DEFAULT_ITERATIONS).
const scramIterations = 4096

// passwordVerifier is what the server would store for a password, so that the
// password itself stays here. A password beyond ASCII goes as it is: the server
// normalises it (SASLprep) before it hashes, which is its business.
func passwordVerifier(user, password, method string) (string, error) {
	if strings.HasPrefix(method, "md5") || method == "on" {
		sum := md5.Sum([]byte(password + user))
		return "md5" + hex.EncodeToString(sum[:]), nil
	}
	if strings.IndexFunc(password, func(r rune) bool { return r < ' ' || r > '~' }) >= 0 {
		return password, nil
	}
	salt := make([]byte, 16) // SCRAM_DEFAULT_SALT_LEN
	if _, err := rand.Read(salt); err != nil {
		return "", fmt.Errorf("salt a password: %w", err)
	}
	return scramVerifier(password, salt)
}

// scramVerifier builds SCRAM-SHA-256$iterations:salt$StoredKey:ServerKey
// (RFC 5803; scram-common.c, scram_build_secret).
func scramVerifier(password string, salt []byte) (string, error) {
	salted, err := pbkdf2.Key(sha256.New, password, salt, scramIterations, sha256.Size)
	if err != nil {
		return "", fmt.Errorf("derive a key from a password: %w", err)
	}
	stored := sha256.Sum256(keyed(salted, "Client Key"))
	encode := base64.StdEncoding.EncodeToString
	return fmt.Sprintf("SCRAM-SHA-256$%d:%s$%s:%s", scramIterations,
		encode(salt), encode(stored[:]), encode(keyed(salted, "Server Key"))), nil
}

func keyed(key []byte, text string) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}
