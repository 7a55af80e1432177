package client_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/url"
	"testing"

	"gatehouse/internal/client"
)

// RFC 8705 §2.1.2: a certificate is a client's by one name that it has, whole.
func TestCertificateSubject(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "job, nightly", Organization: []string{"Example"}, Country: []string{"DE"}},
		DNSNames: []string{"Job.example.com", "*.pool.example.com"}, EmailAddresses: []string{"job@example.com"},
		IPAddresses: []net.IP{net.ParseIP("192.0.2.7"), net.ParseIP("2001:db8::7")},
		URIs:        []*url.URL{{Scheme: "spiffe", Host: "example.org", Path: "/job"}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	for subject, want := range map[string]bool{
		"dns:job.example.com": true, "uri:spiffe://example.org/job": true, "ip:192.0.2.7": true, "ip:2001:db8::7": true,
		"email:job@example.com": true, `dn:CN=job\, nightly,O=Example,C=DE`: true,

		"dns:example.com": false, "dns:x.job.example.com": false, "dns:a.pool.example.com": false, "uri:spiffe://example.org/jo": false,
		"uri:spiffe://example.org/job/x": false, "ip:192.0.2.70": false, "email:job@example.co": false, "email:Job@example.com": false,
		`dn:CN=job\, nightly`: false, `dn:CN=job\, nightly,O=Example`: false, "dn:C=DE,O=Example,CN=job": false, "dns:job@example.com": false,
	} {
		if err := client.CheckCertificateSubject(subject); err != nil {
			t.Errorf("%s: %v", subject, err)
		}
		if got := (client.Client{CertificateSubject: subject}).HasCertificateSubject(certificate); got != want {
			t.Errorf("%s: %t", subject, got)
		}
	}
	for _, subject := range []string{"", "job", "dns:", "dns:*.example.com", "dns:Job.example.com", "uri:job", "uri:", "ip:192.0.2", "ip:2001:DB8::7", "ip:", "email:job", "dn:job", "cn:job", "dns"} {
		if client.CheckCertificateSubject(subject) == nil {
			t.Errorf("%q is taken", subject)
		}
		if (client.Client{CertificateSubject: subject}).HasCertificateSubject(certificate) && subject != "dns:Job.example.com" && subject != "ip:2001:DB8::7" { // which are never stored
			t.Errorf("%q matches", subject)
		}
	}
}
