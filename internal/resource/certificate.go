package resource

import (
	"crypto/subtle"
	"fmt"
	"net/http"

	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
)

// CheckPossession refuses a token that is bound to a certificate if whoever sent
// r did not show that certificate in TLS (RFC 8705 §3). A token that is bound to
// anything else is refused always; one that is bound to nothing passes.
//
// The error is ErrInvalid: it is worth nothing to whoever has it.
func CheckPossession(r *http.Request, certificates httpserver.Certificates, cnf *oauth.Confirmation) error {
	if cnf == nil {
		return nil
	}
	chain, err := certificates.Of(r)
	switch {
	case err != nil:
		return fmt.Errorf("%w: %w", ErrInvalid, err)
	case cnf.CertificateThumbprint == "":
		return fmt.Errorf("%w: it is bound to a key in a way that is not known here", ErrInvalid)
	case len(chain) == 0:
		return fmt.Errorf("%w: it is bound to a certificate, and none was shown", ErrInvalid)
	}
	shown := httpserver.CertificateThumbprint(chain[0])
	if subtle.ConstantTimeCompare([]byte(shown), []byte(cnf.CertificateThumbprint)) != 1 {
		return fmt.Errorf("%w: it is bound to another certificate than the one that was shown", ErrInvalid)
	}
	return nil
}
