package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/egress"
	"gatehouse/internal/secret"
	"gatehouse/mcpclient"
)

const (
	patience    = 10 * time.Minute // for a person at an authorization server
	logoutTime  = 10 * time.Second
	maxAttempts = 4   // of one person at once
	maxChecks   = 200 // people who connect at once
)

// attempt is an authorization that a person was sent to and has not come back
// from. It belongs to one session of one browser.
type attempt struct {
	visit  visit
	back   string // where the person goes on
	answer chan url.Values
	judged chan struct{} // closed when the answer was used
	said   string        // then: what went wrong, in words
}

// attempts of a person are few, so that nobody fills the memory.
func (s *Server) keep(state string, a *attempt) error {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	own := 0
	for _, other := range s.shared.attempts {
		if other.visit.ID == a.visit.ID {
			own++
		}
	}
	if own >= maxAttempts || state == "" {
		return errFull
	}
	s.shared.attempts[state] = a
	return nil
}

// take returns an attempt once, to the session that it belongs to.
func (s *Server) take(state string, v visit) (*attempt, bool) {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	a, ok := s.shared.attempts[state]
	if !ok || a.visit.ID != v.ID || !secret.Equal(string(a.visit.session), string(v.session)) {
		return nil, false
	}
	delete(s.shared.attempts, state)
	return a, true
}

func (s *Server) drop(state string) {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	delete(s.shared.attempts, state)
}

// dialogue is how a connection reaches its person.
type dialogue struct {
	visit visit
	back  string
	open  func(ctx context.Context, address *url.URL) error // leads the person there
	came  func(refusal string)                              // the person is back; OAuth's error, or empty
	last  *attempt
}

// client is this program as an OAuth client of one server, for one person.
func (s *Server) client(d *dialogue, v server, st *mcpclient.Store, wire http.RoundTripper) *mcpclient.Client {
	c := &mcpclient.Client{
		Name: Name, Version: s.Version, RedirectURI: s.URL + "/callback", Store: st, Account: d.visit.ID, Transport: wire,
		Open: func(ctx context.Context, address string) error {
			u, err := url.Parse(address)
			if err != nil {
				return err
			}
			d.last = &attempt{visit: d.visit, back: d.back, answer: make(chan url.Values, 1), judged: make(chan struct{})}
			if err := s.keep(u.Query().Get("state"), d.last); err != nil {
				return errors.New("too many sign-ins are open at once; finish or leave one")
			}
			if err := d.open(ctx, u); err != nil {
				s.drop(u.Query().Get("state"))
				return err
			}
			return nil
		},
		Await: func(ctx context.Context, state string) (url.Values, error) {
			defer s.drop(state)
			select {
			case q := <-d.last.answer:
				d.came(q.Get("error"))
				return q, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		},
	}
	if strings.HasPrefix(s.URL, "https://") {
		c.ClientMetadataURL = s.URL + "/client.json"
	}
	return c
}

// clientDocument describes this client to authorization servers that take
// metadata documents (draft-ietf-oauth-client-id-metadata-document-02 §4).
func (s *Server) clientDocument(w http.ResponseWriter, _ *http.Request) {
	kind := "web"
	if u, err := url.Parse(s.URL); err == nil && strings.HasSuffix("."+u.Hostname(), ".localhost") {
		kind = "native" // redirects to this computer are no web application's (OpenID Connect Registration §2)
	}
	body, err := json.Marshal(map[string]any{
		"client_id": s.URL + "/client.json", "client_name": Name, "client_uri": s.URL + "/",
		"redirect_uris": []string{s.URL + "/callback"}, "grant_types": []string{"authorization_code", "refresh_token"},
		"response_types": []string{"code"}, "token_endpoint_auth_method": "none", "application_type": kind,
	})
	if err != nil {
		w.WriteHeader(http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "public, max-age=3600")
	_, _ = w.Write(body) // a server that left needs no answer
}

// watched remembers why a request did not get through: what the errors above it
// say names addresses, and is for the log.
type watched struct {
	http.RoundTripper
	mu  sync.Mutex
	err error
}

func (w *watched) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(r)
	if err != nil && r.Context().Err() == nil {
		w.mu.Lock()
		w.err = err
		w.mu.Unlock()
	}
	return resp, err
}

// CloseIdleConnections leaves them alone: they are everybody's.
func (w *watched) CloseIdleConnections() {}

func (w *watched) failure() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.err
}

// explain says to a person why a server, or a model, cannot be used. Of an
// address that could not be reached it tells nothing but that (R-CL-23).
func explain(err, wire error) string {
	refusal, refused := errors.AsType[*mcpclient.OAuthError](err)
	_, opErr := errors.AsType[*net.OpError](wire)
	_, dnsErr := errors.AsType[*net.DNSError](wire)
	switch {
	case refused && refusal.Code == "access_denied":
		return "You did not allow it."
	case errors.Is(wire, egress.ErrAddress):
		return "The address leads to where this service does not go: it must be https, at a public address."
	case opErr || dnsErr:
		return "The address could not be reached. Check it, and whether the server is running."
	case wire != nil:
		return "The connection failed. Check the address, and whether the server is running."
	case errors.Is(err, context.DeadlineExceeded):
		return "It took too long."
	case errors.Is(err, context.Canceled):
		return "It was stopped."
	case errors.Is(err, errFull):
		return "You have as many of these as one person can have."
	}
	return clip(err.Error(), 400)
}

// connect connects with a server and lists its tools. The person is sent to its
// authorization server if that wants to know them; the rest happens when they
// come back.
func (s *Server) connect(w http.ResponseWriter, r *http.Request, v visit) error {
	srv, err := s.store.server(r.Context(), v.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	if ok, _ := s.limits.connects.Allow(v.ID); !ok || !s.enterCheck(v.ID) {
		return s.serverPage(w, r, v, srv, http.StatusTooManyRequests, slowDown)
	}
	type outcome struct {
		said string
		err  error
	}
	opened, done := make(chan string, 1), make(chan outcome, 1)
	s.tasks.Go(func() {
		defer s.leaveCheck(v.ID)
		ctx, cancel := context.WithTimeout(s.running, patience)
		defer cancel()
		d := &dialogue{visit: v, back: "/servers/" + srv.ID, came: func(string) {}}
		d.open = func(_ context.Context, address *url.URL) error {
			select {
			case opened <- address.String():
				return nil
			default:
				return errors.New("the server goes on asking for permission; it was asked for once")
			}
		}
		wire := &watched{RoundTripper: s.wire}
		session, release, err := s.session(ctx, d, srv, wire)
		if err == nil {
			err = s.list(ctx, session, srv)
			_ = session.Close() // the tools are here
			release()
		}
		o := outcome{err: err}
		if err != nil {
			o.said = explain(err, wire.failure())
		}
		if d.last != nil {
			d.last.said = o.said
			close(d.last.judged)
		}
		done <- o
	})
	select {
	case address := <-opened:
		http.Redirect(w, r, address, http.StatusSeeOther)
		return nil
	case o := <-done:
		if o.err != nil {
			return s.serverPage(w, r, v, srv, http.StatusBadGateway, o.said)
		}
		http.Redirect(w, r, "/servers/"+srv.ID, http.StatusSeeOther)
		return nil
	case <-r.Context().Done():
		return r.Context().Err()
	}
}

// enterCheck counts connections in the making: few of a person, who may leave
// each waiting for ten minutes, and not too many of all.
func (s *Server) enterCheck(account string) bool {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	if s.shared.checks[account] >= maxAttempts || len(s.shared.checks) >= maxChecks {
		return false
	}
	s.shared.checks[account]++
	return true
}

func (s *Server) leaveCheck(account string) {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	if s.shared.checks[account]--; s.shared.checks[account] == 0 {
		delete(s.shared.checks, account)
	}
}

// session opens a session with a server. release is to be called after its end.
func (s *Server) session(ctx context.Context, d *dialogue, v server, wire http.RoundTripper) (*mcpclient.Session, func(), error) {
	st, release := s.tokens(d.visit.ID, v.ID)
	session, err := s.client(d, v, st, wire).Connect(ctx, v.URL)
	if err != nil {
		release()
		return nil, nil, err
	}
	return session, release, nil
}

// callback takes a person back from an authorization server, in the session
// that went there.
func (s *Server) callback(w http.ResponseWriter, r *http.Request, v visit) error {
	strange := &problem{http.StatusBadRequest, "This answer is not awaited here", "It belongs to another sign-in, or came too late.", "Start again from the server's page."}
	if len(r.URL.RawQuery) > 8<<10 {
		return strange
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil || len(query["state"]) != 1 {
		return strange
	}
	a, ok := s.take(query.Get("state"), v)
	if !ok {
		return strange
	}
	a.answer <- query
	if strings.HasPrefix(a.back, "/chats/") { // where the turn goes on by itself
		http.Redirect(w, r, a.back+"#end", http.StatusSeeOther)
		return nil
	}
	select {
	case <-a.judged:
	case <-r.Context().Done():
		return r.Context().Err()
	}
	if a.said == "" {
		http.Redirect(w, r, a.back, http.StatusSeeOther)
		return nil
	}
	srv, err := s.store.server(r.Context(), v.ID, strings.TrimPrefix(a.back, "/servers/"))
	if err != nil {
		return err
	}
	return s.serverPage(w, r, v, srv, http.StatusOK, a.said)
}

// endTokens revokes a person's tokens where they came from, as far as that
// answers in time, and forgets them in any case.
func (s *Server) endTokens(ctx context.Context, account string, servers []server) error {
	ctx, cancel := context.WithTimeout(ctx, logoutTime)
	defer cancel()
	var all sync.WaitGroup
	gone := make([]bool, len(servers))
	for i, v := range servers {
		all.Go(func() {
			st, release := s.tokens(account, v.ID)
			defer release()
			c := &mcpclient.Client{Name: Name, RedirectURI: s.URL + "/callback", Store: st, Account: account, Transport: &watched{RoundTripper: s.wire},
				Await: func(context.Context, string) (url.Values, error) { return nil, errUnknown }}
			if strings.HasPrefix(s.URL, "https://") {
				c.ClientMetadataURL = s.URL + "/client.json"
			}
			// The registration stays, or signing in again would make one more. What
			// could not be revoked is forgotten below, and expires.
			_, err := c.Logout(ctx, v.URL, false)
			gone[i] = err == nil
		})
	}
	all.Wait()
	var failed error
	for i, v := range servers {
		failed = errors.Join(failed, s.store.disconnect(context.WithoutCancel(ctx), account, v.ID, gone[i]))
	}
	return failed
}
