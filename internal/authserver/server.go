package authserver

import (
	"context"
	"errors"
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
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
	"gatehouse/internal/page"
	"gatehouse/internal/trust"
)

// Server is the authorization server. All exported fields but the last twelve
// are required.
type Server struct {
	Issuer        string         // its identifier and base URL, without trailing slash
	APIs          []*catalog.API // whose resources tokens are issued for
	Accounts      account.Store
	Invitations   account.Invitations
	Clients       client.Store
	Requests      grant.Requests
	Grants        grant.Store
	Revocations   grant.Feed
	StepUps       grant.StepUp
	Connections   grant.Connections
	Pauses        grant.Pauses
	Audit         audit.Store
	Inbox         audit.Inbox // of gateways that are processes of their own
	Authenticator *account.Authenticator
	Keys          *Keyring            // that sign JWTs for APIs
	Documents     map[string]Document // of APIs, by resource: for gateways that are processes of their own
	PollKey       []byte              // of poll tokens, at least 32 bytes, the same for all replicas

	Egress         *egress.Client // fetches the documents of clients whose client_id is an address; nil: there are none
	AllowedOrigins []string       // browser origins that may call JSON endpoints (CORS)
	PlainHTTP      []string       // hosts where http redirects are tolerated (security.md 17)
	Demo           bool           // the pages say that this is a demonstration
	People         []PersonView
	Inspect        *inspect.Recorder  // told of messages; nil: nothing is recorded
	Messages       inspect.Store      // that were recorded; nil: there are none
	Trust          *trust.Trust       // whose assertions are believed; nil: nobody's
	Console        *catalog.API       // the administration at its own address; nil: there is none
	Partners       []Partner          // to which people's agents are sent with an assertion
	Delegation     []grant.Delegation // who may act for whom
	MutualTLS      *MutualTLS         // by which clients prove who they are; nil: none does

	pages     *page.Set
	cookies   cookieJar
	limits    limits
	polls     chan struct{} // one for each poll of the revocation feed that waits
	documents *client.Documents
	digests   map[string]string // of Documents
	signInAPI *catalog.API      // what relying parties of OpenID Connect ask for
	keySets   keySets
	drawing   *inspect.Drawing
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
	if len(s.PollKey) < 32 {
		return nil, errors.New("authorization server: the key of poll tokens has fewer than 32 bytes; let it be generated")
	}
	if s.pages, err = page.Parse(pages, "pages/*.html"); err != nil {
		return nil, fmt.Errorf("parse pages of the authorization server: %w", err)
	}
	if s.drawing, err = inspect.NewDrawing(); err != nil {
		return nil, err
	}
	s.cookies = newCookieJar(base)
	s.signInAPI = newSignInAPI(s.Issuer, base.Host)
	s.limits = newLimits()
	s.digests = map[string]string{}
	for resource, d := range s.Documents {
		s.digests[resource] = d.Digest
	}
	s.polls = make(chan struct{}, maxPolls)
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
	mux.Handle("/revocations", s.api(s.revocations))
	mux.Handle("/audit", s.api(s.receive))
	mux.Handle("/document", s.api(s.document))
	mux.Handle("/messages", s.api(s.told))

	mux.Handle("GET /authorize", s.browser(s.authorize))
	mux.Handle("GET /login", s.browser(s.showLogin))
	mux.Handle("POST /login", s.browser(s.signIn))
	mux.Handle("GET /consent", s.browser(s.showConsent))
	mux.Handle("POST /consent", s.browser(s.decide))
	mux.Handle("/userinfo", s.public(http.HandlerFunc(s.userinfo)))
	mux.Handle("GET /logout", s.browser(s.logout))
	mux.Handle("POST /logout", s.browser(s.logout))
	mux.Handle("GET /account", s.browser(s.showAccount))
	mux.Handle("GET /account/messages", s.browser(s.showMessages))
	mux.Handle("GET /account/messages/{flow}", s.browser(s.showFlow))
	mux.Handle("GET /account/messages/{flow}/export", s.browser(s.exportFlow))
	mux.Handle("POST /account/end", s.browser(s.endConnection))
	mux.Handle("POST /account/narrow", s.browser(s.narrowConnection))
	mux.Handle("GET /account/standing", s.browser(s.showStanding))
	mux.Handle("POST /account/standing", s.browser(s.allowStanding))
	mux.Handle("POST /account/leave", s.browser(s.leave))
	mux.Handle("GET /invitation", s.browser(s.openInvitation))
	mux.Handle("POST /invitation", s.browser(s.acceptInvitation))
	mux.Handle("GET /{$}", s.browser(s.front))
	mux.Handle("GET /assets/", page.Assets())
	return s.Inspect.Wrap(mux), nil
}

// record appends an audit entry; what it tells of must not happen if this fails.
func (s *Server) record(ctx context.Context, e audit.Entry) error {
	now := time.Now()
	e.ID, e.Time, e.RequestID = audit.NewID(now), now.UnixMilli(), httpserver.RequestID(ctx)
	if err := s.Audit.Append(ctx, e); err != nil {
		return fmt.Errorf("record %s in the audit log: %w", e.Kind, err)
	}
	return nil
}

// openTo refuses what is for an API that an administrator has closed.
func (s *Server) openTo(ctx context.Context, resource string) error {
	closed, err := s.Revocations.Closed(ctx)
	if err == nil && closed[resource].All() != "" {
		err = grant.ErrAPIClosed
	}
	return err
}

// resourceOf returns what a grant is for: an API behind its MCP endpoint, the
// sign-in itself, or the administration without a gateway.
func (s *Server) resourceOf(resource string) (*catalog.API, bool) {
	if resource == s.Issuer {
		return s.signInAPI, true
	}
	if s.Console != nil && resource == s.Console.Resource {
		return s.Console, true
	}
	return s.apiOf(resource)
}

// apiOf returns the API whose MCP endpoint is resource. Gateways learn of these
// only.
func (s *Server) apiOf(resource string) (*catalog.API, bool) {
	for _, a := range s.APIs {
		if a.Resource == resource {
			return a, true
		}
	}
	return nil, false
}
