package app

import (
	"crypto/x509"
	"fmt"
	"os"

	"gatehouse/internal/egress"
)

func (d Documents) validate(report reporter) {
	if d.Accept != "all" && d.Accept != "none" {
		report("documents.accept", "%q must be all or none", d.Accept)
	}
	for i, address := range d.Addresses {
		if _, err := egress.ParseException(address); err != nil {
			report(fmt.Sprintf("documents.addresses[%d]", i), "%v", err)
		}
	}
	if d.Roots != "" && len(d.Addresses) == 0 {
		report("documents.roots", "is for the hosts in documents.addresses, and there are none")
	}
}

// egress is what the authorization server fetches documents with; nil if it
// shall not.
func (a *App) egress() (*egress.Client, error) {
	if a.config.Documents.Accept == "none" {
		return nil, nil
	}
	return a.config.Documents.guard(&a.config, "documents")
}

// guard reaches public addresses and the exceptions; at is the setting's name.
func (d Documents) guard(c *Config, at string) (*egress.Client, error) {
	fetcher := &egress.Client{}
	for _, address := range d.Addresses {
		e, err := egress.ParseException(address)
		if err != nil {
			return nil, fmt.Errorf("%s.addresses: %w", at, err)
		}
		fetcher.Allowed = append(fetcher.Allowed, e)
	}
	if d.Roots != "" {
		text, err := os.ReadFile(c.Path(d.Roots))
		if err != nil {
			return nil, fmt.Errorf("%s.roots: %w", at, err)
		}
		if fetcher.Roots, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("%s.roots: read the system's certificates: %w", at, err)
		}
		if !fetcher.Roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("%s.roots: %s holds no certificate in PEM", at, d.Roots)
		}
	}
	return fetcher, nil
}
