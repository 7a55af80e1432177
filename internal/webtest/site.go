package webtest

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/binary"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"
)

// Authority signs certificates for https servers of a test.
type Authority struct {
	Roots       *x509.CertPool
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

// NewAuthority makes an authority that nothing else trusts.
func NewAuthority(t testing.TB) *Authority {
	t.Helper()
	a := &Authority{Roots: x509.NewCertPool()}
	a.key = newKey(t)
	a.certificate = sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "authority of a test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}, nil, a.key, a.key)
	a.Roots.AddCert(a.certificate)
	return a
}

// PEM is the authority's certificate as a file has it.
func (a *Authority) PEM() []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.certificate.Raw})
}

// Serve starts an https server on a loopback address with a certificate for
// names, and returns its port.
func (a *Authority) Serve(t testing.TB, h http.Handler, names ...string) (port string) {
	t.Helper()
	key := newKey(t)
	leaf := sign(t, &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: names,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.certificate, key, a.key)
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.Raw}, PrivateKey: key}}}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // refused handshakes are what tests are about
	s.StartTLS()
	t.Cleanup(s.Close)
	_, port, err := net.SplitHostPort(s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func sign(t testing.TB, template, parent *x509.Certificate, key, by *ecdsa.PrivateKey) *x509.Certificate {
	t.Helper()
	if parent == nil {
		parent = template
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// NewResolver returns a resolver that asks a name server in memory. The server
// answers each question, A and AAAA, with the addresses of the kind in question
// that addresses returns; none means that there is no such name.
func NewResolver(addresses func(name string) []netip.Addr) *net.Resolver {
	return &net.Resolver{PreferGo: true, Dial: func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		go func() {
			defer server.Close()
			for {
				// Over what is no packet connection, messages have their length before them.
				var length [2]byte
				if _, err := io.ReadFull(server, length[:]); err != nil {
					return
				}
				question := make([]byte, binary.BigEndian.Uint16(length[:]))
				if _, err := io.ReadFull(server, question); err != nil {
					return
				}
				answer := resolve(question, addresses)
				if _, err := server.Write(append(binary.BigEndian.AppendUint16(nil, uint16(len(answer))), answer...)); err != nil {
					return
				}
			}
		}()
		return client, nil
	}}
}

// resolve answers one DNS message with one question (RFC 1035 §4).
func resolve(message []byte, addresses func(string) []netip.Addr) []byte {
	var labels []string
	at := 12
	for message[at] != 0 {
		n := int(message[at])
		labels = append(labels, string(message[at+1:at+1+n]))
		at += 1 + n
	}
	end := at + 5 // the root label, type and class
	kind := binary.BigEndian.Uint16(message[at+1:])
	all := addresses(strings.ToLower(strings.Join(labels, ".")))
	var records []byte
	count := 0
	for _, a := range all {
		if kind == 1 && a.Is4() || kind == 28 && a.Is6() {
			count++
			records = append(records, 0xc0, 12) // the name of the question
			records = binary.BigEndian.AppendUint16(records, kind)
			records = append(records, 0, 1, 0, 0, 0, 0, 0, byte(len(a.AsSlice())))
			records = append(records, a.AsSlice()...)
		}
	}
	flags := uint16(0x8180)
	if len(all) == 0 {
		flags |= 3 // no such name
	}
	answer := append([]byte{}, message[:2]...)
	for _, field := range []uint16{flags, 1, uint16(count), 0, 0} {
		answer = binary.BigEndian.AppendUint16(answer, field)
	}
	return append(append(answer, message[12:end]...), records...)
}
