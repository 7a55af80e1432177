package app

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Lifetimes of the development certificates.
const (
	authorityLifetime = 365 * 24 * time.Hour
	leafLifetime      = 30 * 24 * time.Hour // made anew at each start
)

// developmentTLS is what the demo needs to serve https.
type developmentTLS struct {
	Certificate tls.Certificate
	Roots       *x509.CertPool // the system's and the development authority
	File        string         // of the authority's certificate, to be trusted by hand
}

// newDevelopmentTLS makes a certificate for names, signed by a certificate
// authority that lives in folder and is made there the first time. Who trusts
// it risks little: it is constrained to domains, so even with its key stolen it
// can vouch for no other name.
func newDevelopmentTLS(folder string, domains, names []string) (*developmentTLS, error) {
	authority, key, err := developmentAuthority(folder, domains)
	if err != nil {
		return nil, err
	}
	leafKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("make a key: %w", err)
	}
	now := time.Now()
	leaf := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: names[0]}, DNSNames: names,
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(leafLifetime),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, leaf, authority, &leafKey.PublicKey, key)
	if err != nil {
		return nil, fmt.Errorf("sign the development certificate: %w", err)
	}
	roots, err := x509.SystemCertPool()
	if err != nil {
		roots = x509.NewCertPool()
	}
	roots.AddCert(authority)
	file, err := filepath.Abs(filepath.Join(folder, "ca.pem"))
	if err != nil {
		return nil, err
	}
	return &developmentTLS{
		Certificate: tls.Certificate{Certificate: [][]byte{der, authority.Raw}, PrivateKey: leafKey}, Roots: roots, File: file,
	}, nil
}

// developmentAuthority loads the authority of folder, or makes one if there is
// none, it is for other domains, or about to expire.
func developmentAuthority(folder string, domains []string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	file, keyFile := filepath.Join(folder, "ca.pem"), filepath.Join(folder, "ca-key.pem")
	certificate, key, err := readAuthority(file, keyFile)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, fmt.Errorf("read the development authority: %w; remove %s and %s to make a new one", err, file, keyFile)
	}
	if err == nil && slices.Equal(certificate.PermittedDNSDomains, domains) && time.Now().Add(leafLifetime).Before(certificate.NotAfter) {
		return certificate, key, nil
	}
	if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, nil, fmt.Errorf("make a key: %w", err)
	}
	now := time.Now()
	_, all4, _ := net.ParseCIDR("0.0.0.0/0") // constants parse
	_, all6, _ := net.ParseCIDR("::/0")
	template := &x509.Certificate{
		SerialNumber: serial(), Subject: pkix.Name{CommonName: "Gatehouse demo for " + domains[0], Organization: []string{"made on this computer"}},
		NotBefore: now.Add(-time.Hour), NotAfter: now.Add(authorityLifetime), IsCA: true, BasicConstraintsValid: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, PermittedDNSDomainsCritical: true, PermittedDNSDomains: domains,
		ExcludedIPRanges: []*net.IPNet{all4, all6},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return nil, nil, fmt.Errorf("make the development authority: %w", err)
	}
	if certificate, err = x509.ParseCertificate(der); err != nil {
		return nil, nil, err
	}
	return certificate, key, writeAuthority(file, keyFile, der, key)
}

func readAuthority(file, keyFile string) (*x509.Certificate, *ecdsa.PrivateKey, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, nil, err
	}
	keyText, err := os.ReadFile(keyFile)
	if err != nil {
		return nil, nil, err
	}
	block, _ := pem.Decode(text)
	keyBlock, _ := pem.Decode(keyText)
	if block == nil || keyBlock == nil {
		return nil, nil, errors.New("not in PEM")
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		return nil, nil, err
	}
	key, err := x509.ParsePKCS8PrivateKey(keyBlock.Bytes)
	if err != nil {
		return nil, nil, err
	}
	private, ok := key.(*ecdsa.PrivateKey)
	if !ok {
		return nil, nil, errors.New("the key is of another kind")
	}
	return certificate, private, nil
}

func writeAuthority(file, keyFile string, der []byte, key *ecdsa.PrivateKey) error {
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return fmt.Errorf("write the development authority's key: %w", err)
	}
	// The key goes first and is readable by this user alone.
	if err := os.WriteFile(keyFile, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}), 0o600); err != nil {
		return fmt.Errorf("write the development authority's key: %w", err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return fmt.Errorf("write the development authority: %w", err)
	}
	return nil
}

// serial is a random serial number of 127 bits.
func serial() *big.Int {
	n, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 127))
	if err != nil { // crypto/rand does not fail
		return big.NewInt(1)
	}
	return n
}
