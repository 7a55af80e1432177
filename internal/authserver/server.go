package authserver

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/egress"
	"gatehouse/internal/grant"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
	"gatehouse/internal/page"
	"gatehouse/internal/secret"
)

// Server is the authorization server. All exported fields but the last five
// are required.
type Server struct {
	Issuer        string         // its identifier and base URL, without trailing slash
	APIs          []*catalog.API // whose resources tokens are issued for
	Accounts      account.Store
	Clients       client.Store
	Grants        grant.Store
	StepUps       grant.StepUp
	Audit         audit.Store
	Authenticator *account.Authenticator
	Keys          *Keyring // that sign JWTs for APIs

	Egress         *egress.Client // fetches the documents of clients whose client_id is an address; nil: there are none
	AllowedOrigins []string       // browser origins that may call JSON endpoints (CORS)
	PlainHTTP      []string       // hosts where http redirects are tolerated (security.md 17)
	Demo           bool           // the pages say that this is a demonstration
	People         []PersonView

	pages     *page.Set
	cookies   cookieJar
	limits    limits
	documents *client.Documents
}

// AccessLifetime is how long a JWT for an API lives: what cannot be recalled
// soon expires.
const AccessLifetime = 5 * time.Minute

// Handler checks the server's fields and returns its routes.
func (s *Server) Handler() (http.Handler, error) {
	base, err := url.Parse(s.Issuer)
	if err != nil || base.Host == "" || base.Path != "" || base.RawQuery != "" {
		return nil, fmt.Errorf("issuer %q must be an absolute URL without a path: its pages need a host of their own", s.Issuer)
	}
	if s.pages, err = page.Parse(pages, "pages/*.html"); err != nil {
		return nil, fmt.Errorf("parse pages of the authorization server: %w", err)
	}
	s.cookies = newCookieJar(base)
	s.limits = newLimits()
	if s.Egress != nil {
		s.documents = &client.Documents{Egress: s.Egress, Rules: s.clientRules()}
	}

	mux := http.NewServeMux()
	// R-AS-2, R-CL-3: the two places where clients look.
	for _, name := range []string{"oauth-authorization-server", "openid-configuration"} {
		mux.Handle(oauth.WellKnown(name, ""), s.public(http.HandlerFunc(s.metadata())))
	}
	mux.Handle("/jwks.json", s.public(http.HandlerFunc(s.keySet)))
	mux.Handle("/register", s.public(s.api(s.register)))
	mux.Handle("/token", s.public(s.api(s.token)))
	mux.Handle("/introspect", s.api(s.introspect))
	mux.Handle("/revoke", s.api(s.revoke))

	mux.Handle("GET /authorize", s.browser(s.authorize))
	mux.Handle("GET /login", s.browser(s.showLogin))
	mux.Handle("POST /login", s.browser(s.signIn))
	mux.Handle("GET /consent", s.browser(s.showConsent))
	mux.Handle("POST /consent", s.browser(s.decide))
	mux.Handle("GET /{$}", s.browser(s.front))
	mux.Handle("GET /assets/", page.Assets())
	return mux, nil
}

// record appends an audit entry; what it tells of must not happen if this fails.
func (s *Server) record(ctx context.Context, e audit.Entry) error {
	e.ID, e.Time, e.RequestID = secret.ID(), time.Now().UnixMilli(), httpserver.RequestID(ctx)
	if err := s.Audit.Append(ctx, e); err != nil {
		return fmt.Errorf("record %s in the audit log: %w", e.Kind, err)
	}
	return nil
}

// apiOf returns the API whose MCP endpoint is resource.
func (s *Server) apiOf(resource string) (*catalog.API, bool) {
	for _, a := range s.APIs {
		if a.Resource == resource {
			return a, true
		}
	}
	return nil, false
}
