package app

import (
	"crypto/x509"
	"fmt"
	"os"

	"gatehouse/internal/egress"
)

// Documents say how client ID metadata documents are fetched: an agent without
// registration names the https address of a document that describes it. They
// come from public addresses only, unless listed here.
type Documents struct {
	// Refuse turns them off: agents register, or an administrator adds them.
	Refuse bool `yaml:"refuse"`
	// Addresses are exceptions for agents inside of your own network: host
	// names, addresses or ranges, with a port if it is not 443, e.g.
	// apps.internal, apps.internal:8443, 10.1.0.0/16. A name stands for its
	// private and loopback addresses; any other special address, such as those
	// of a cloud's metadata service, is allowed only if it is listed itself.
	Addresses []string `yaml:"addresses"`
	// Roots is the path of a PEM file with certificates that sign those of
	// Addresses, beside the system's.
	Roots string `yaml:"roots"`
}

func (d Documents) validate(report reporter) {
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
	d := a.config.Documents
	if d.Refuse {
		return nil, nil
	}
	fetcher := &egress.Client{}
	for _, address := range d.Addresses {
		e, err := egress.ParseException(address)
		if err != nil {
			return nil, fmt.Errorf("documents.addresses: %w", err)
		}
		fetcher.Allowed = append(fetcher.Allowed, e)
	}
	if d.Roots != "" {
		text, err := os.ReadFile(a.config.Path(d.Roots))
		if err != nil {
			return nil, fmt.Errorf("documents.roots: %w", err)
		}
		if fetcher.Roots, err = x509.SystemCertPool(); err != nil {
			return nil, fmt.Errorf("documents.roots: read the system's certificates: %w", err)
		}
		if !fetcher.Roots.AppendCertsFromPEM(text) {
			return nil, fmt.Errorf("documents.roots: %s holds no certificate in PEM", d.Roots)
		}
	}
	return fetcher, nil
}
