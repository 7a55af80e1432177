package client

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"slices"
	"strings"
)

// CheckCertificateSubject reports what is wrong with the subject by which a
// client with a certificate of an authority is known (RFC 8705 §2.1.2): one of
//
//	dns:job.example.com
//	uri:spiffe://example.org/job
//	ip:192.0.2.7
//	email:job@example.com
//	dn:CN=job,O=Example
//
// The last is a distinguished name as RFC 4514 writes it.
func CheckCertificateSubject(subject string) error {
	kind, value, _ := strings.Cut(subject, ":")
	wrong := ""
	switch kind {
	case "dns":
		if value == "" || value != strings.ToLower(value) || strings.ContainsAny(value, "*/ :") {
			wrong = "dns: takes one host name in lower case"
		}
	case "uri":
		if u, err := url.Parse(value); err != nil || u.Scheme == "" || u.String() != value {
			wrong = "uri: takes an absolute URI such as spiffe://example.org/job"
		}
	case "ip":
		if a, err := netip.ParseAddr(value); err != nil || a.String() != value {
			wrong = "ip: takes an address such as 192.0.2.7 in its shortest form"
		}
	case "email":
		if !strings.Contains(value, "@") {
			wrong = "email: takes an address"
		}
	case "dn":
		if !strings.Contains(value, "=") {
			wrong = "dn: takes a distinguished name such as CN=job,O=Example"
		}
	default:
		wrong = "begin with dns:, uri:, ip:, email: or dn:"
	}
	if wrong != "" {
		return fmt.Errorf("the subject %.100q cannot be used: %s", subject, wrong)
	}
	return nil
}

// HasCertificateSubject reports whether a certificate, which its authority was
// verified to have issued, is of the client: exactly, no part and no pattern.
func (c Client) HasCertificateSubject(certificate *x509.Certificate) bool {
	kind, value, _ := strings.Cut(c.CertificateSubject, ":")
	if value == "" {
		return false
	}
	switch kind {
	case "dns":
		return slices.ContainsFunc(certificate.DNSNames, func(name string) bool { return strings.EqualFold(name, value) })
	case "uri":
		// An X.509-SVID has one URI (SPIFFE X.509-SVID §2); of two, which is meant?
		return len(certificate.URIs) == 1 && certificate.URIs[0].String() == value
	case "ip":
		want := net.ParseIP(value)
		return want != nil && slices.ContainsFunc(certificate.IPAddresses, want.Equal)
	case "email":
		return slices.Contains(certificate.EmailAddresses, value)
	case "dn":
		return distinguishedName(certificate) == value
	}
	return false
}

// distinguishedName is a certificate's subject as RFC 4514 writes it, of all its
// parts in their order; "" if it has none that can be read.
func distinguishedName(certificate *x509.Certificate) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(certificate.RawSubject, &name); err != nil || len(rest) > 0 {
		return ""
	}
	return name.String()
}
