package app_test

import (
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"testing"
	"time"

	"gatehouse/internal/app"
)

func tlsDemo(t *testing.T, folder, domain string) (leaf, authority *x509.Certificate) {
	t.Helper()
	config, err := app.Demo(app.DemoOptions{Address: "127.0.0.1:8443", Domain: domain, Data: folder, TLS: true})
	if err != nil {
		t.Fatal(err)
	}
	chain := config.TLSCertificate().Certificate
	for i, into := range []**x509.Certificate{&leaf, &authority} {
		if *into, err = x509.ParseCertificate(chain[i]); err != nil {
			t.Fatal(err)
		}
	}
	return leaf, authority
}

// The demo's authority vouches for the demo's names and can vouch for no others.
func TestDevelopmentAuthorityIsConstrained(t *testing.T) {
	folder := t.TempDir()
	leaf, authority := tlsDemo(t, folder, "")
	roots := x509.NewCertPool()
	roots.AddCert(authority)
	for _, name := range []string{"localhost", "login.localhost", "mcp.localhost", "api.localhost"} {
		if _, err := leaf.Verify(x509.VerifyOptions{DNSName: name, Roots: roots}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	info, err := os.Stat(filepath.Join(folder, "ca-key.pem"))
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the authority's key: %v, %v", info, err)
	}
	text, err := os.ReadFile(filepath.Join(folder, "ca-key.pem"))
	if err != nil {
		t.Fatal(err)
	}
	block, _ := pem.Decode(text)
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	private, _ := key.(*ecdsa.PrivateKey)
	forged := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"bank.example"}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, forged, authority, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	bad, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := bad.Verify(x509.VerifyOptions{DNSName: "bank.example", Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err == nil {
		t.Error("the authority vouches for a bank")
	}
}

// A restart goes on with the authority that people trust; another domain gets its own.
func TestDevelopmentAuthorityIsKept(t *testing.T) {
	folder := t.TempDir()
	_, first := tlsDemo(t, folder, "")
	_, again := tlsDemo(t, folder, "")
	_, other := tlsDemo(t, folder, "example.com")
	if !first.Equal(again) {
		t.Error("a restart made another authority")
	}
	if first.Equal(other) {
		t.Error("another domain has the same authority")
	}
}
