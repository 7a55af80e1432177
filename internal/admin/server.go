// Package admin is the administration console: pages by which a security
// officer sees what agents do here, and stops what they should not.
//
// It owns the pages, who may see and do what on them, and the session that a
// sign-in gives. What an administrator does to the installation is one of its
// Acts, each checked, audited and done in one place, whether it comes from a
// page or from a terminal. It signs people in by OpenID Connect at the
// authorization server, like any application would.
package admin

import (
	"embed"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/inspect"
	"gatehouse/internal/jose"
	"gatehouse/internal/page"
	"gatehouse/internal/resource"
	"gatehouse/internal/trust"
)

//go:embed pages/*.html
var pageFiles embed.FS

// Server is the console. Its fields are set before Handler is called; all are
// required but the last three.
type Server struct {
	URL        string                        // where people reach it: scheme and host
	AuthServer *resource.AuthorizationServer // that people sign in at, and what the console is to it
	Keys       *jose.RemoteKeySet            // of the authorization server
	Key        string                        // seals what a sign-in leaves in the browser; made by secret.New
	Accounts   account.Store                 // sessions and roles
	Acts       *Acts
	Pulse      audit.Pulse
	Agents     Agents
	Log        Log // what the audit pages and the search read
	Settings   Settings
	Trust      *trust.Trust // whose assertions are believed; nil: nobody's
	Find       trust.Finder // of keys that an issuer publishes; nil: of none
	Demo       bool         // the pages say that this is a demonstration

	pages    *page.Set
	drawing  *inspect.Drawing
	host     string
	secure   bool // cookies can be
	signIn   *httpserver.Limiter
	explains *httpserver.Limiter // tokens that are pasted, all together

	exports chan struct{} // has one for each export that runs
}

// Handler checks the server's fields and returns its routes.
func (s *Server) Handler() (http.Handler, error) {
	u, err := url.Parse(s.URL)
	if err != nil || u.Host == "" || s.AuthServer == nil || s.Keys == nil || s.Key == "" || s.Accounts == nil || s.Acts == nil || s.Pulse == nil || s.Agents == nil || s.Log == nil {
		return nil, errors.New("the administration console needs a URL, an authorization server with its keys, a key, accounts, acts and the audit log")
	}
	if s.pages, err = page.Parse(pageFiles, "pages/*.html"); err != nil {
		return nil, fmt.Errorf("parse the console's pages: %w", err)
	}
	if s.drawing, err = inspect.NewDrawing(); err != nil {
		return nil, err
	}
	s.host = u.Host
	s.secure = u.Scheme == "https" || u.Hostname() == "localhost" || strings.HasSuffix(u.Hostname(), ".localhost")
	s.signIn = &httpserver.Limiter{Every: 2 * time.Second, Burst: 60, MaxKeys: 20_000}
	s.explains = &httpserver.Limiter{Every: time.Second, Burst: 30, MaxKeys: 1}
	s.exports = make(chan struct{}, exportsAtOnce)
	return s.guard().Handler(s.mux()), nil
}

func (s *Server) mux() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /assets/", page.Assets())
	mux.Handle("GET /static/", static())
	mux.Handle("GET /{$}", http.RedirectHandler(home, http.StatusSeeOther))
	for _, r := range s.Routes() {
		mux.Handle(r.Pattern, s.admit(r))
	}
	return mux
}

// home is where the console begins.
const home = "/admin"

// Access is what a route takes.
type Access int

// What a route takes, least first.
const (
	Anybody    Access = iota // who is not signed in, too
	Reading                  // an auditor's role
	ReadingBy                // the same, of somebody who signed in a moment ago
	Changing                 // an administrator's role
	ChangingBy               // an administrator who signed in a moment ago
)

// Route is one of the console's pages or acts.
type Route struct {
	Pattern string // as in http.ServeMux
	Access  Access
	handle  func(http.ResponseWriter, *http.Request, visit) error
}

// Routes are all that the console answers. What has no GET changes something.
func (s *Server) Routes() []Route {
	return slices.Concat([]Route{
		{"GET /admin/sign-in", Anybody, s.startSignIn},
		{"GET /admin/callback", Anybody, s.finishSignIn},
		{"GET /admin/signed-out", Anybody, s.signedOut},
		{"POST /admin/sign-out", Anybody, s.signOut},
		{"GET /admin", Reading, s.showHome},
	},
		s.agentRoutes(),
		s.messageRoutes(),
		s.stopRoutes(),
		s.apiRoutes(),
		s.documentRoutes(),
		s.logRoutes(),
		s.peopleRoutes(),
		s.keyRoutes(),
		s.trustRoutes(),
		s.addAgentRoutes(),
		s.settingsRoutes(),
	)
}
