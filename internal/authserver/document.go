package authserver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
)

// askingClient returns the client of an authorization request: one that is
// stored, or one that the document at its client_id describes (R-AS-7).
func (s *Server) askingClient(r *http.Request, id string) (client.Client, error) {
	stored, err := s.Clients.Client(r.Context(), id)
	switch {
	case errors.Is(err, client.ErrUnknown) && client.IsDocumentID(id):
		return s.described(r, id, client.Client{})
	case err != nil:
		return client.Client{}, err
	case stored.Origin == client.Document:
		return s.described(r, id, stored)
	}
	return stored, nil
}

// presentedClient returns the client of a request to a JSON endpoint. Nobody
// can have a code or token for a document that no authorization request
// brought here, so such a request causes no fetch.
func (s *Server) presentedClient(r *http.Request, id string) (client.Client, error) {
	stored, err := s.Clients.Client(r.Context(), id)
	if err != nil || stored.Origin != client.Document {
		return stored, err
	}
	return s.described(r, id, stored)
}

// storedClient returns a client as it was when its document was last seen:
// within a flow that began with looking at it, and for tokens that are out.
func (s *Server) storedClient(ctx context.Context, id string) (client.Client, error) {
	c, err := s.Clients.Client(ctx, id)
	if err == nil && c.Origin == client.Document && s.documents == nil {
		return client.Client{}, client.ErrUnknown // documents were turned off
	}
	return c, err
}

// described returns the client of a document and stores what has changed of
// it, so that consent pages, exchange and audit find it without a fetch. What
// people agreed to is compared with Fingerprint. A document that makes another
// party of the client ends what it was allowed, with the tokens that are out
// (security.md 2).
func (s *Server) described(r *http.Request, id string, stored client.Client) (client.Client, error) {
	if s.documents == nil {
		return client.Client{}, client.ErrUnknown
	}
	began := time.Now()
	c, err := s.documents.Client(r.Context(), id, s.mayFetch(r, id))
	if err != nil {
		return client.Client{}, err
	}
	another := stored.ID != "" && !c.SameParty(stored)
	if another {
		// What that ends cannot be undone, and another replica may have seen a
		// later document than is held here: look again.
		var sure bool
		if c, sure, err = s.documents.Newer(r.Context(), id, began, s.mayFetch(r, id)); err != nil {
			return client.Client{}, err
		}
		if !sure {
			return stored, nil
		}
		another = !c.SameParty(stored)
	}
	if c.CreatedAt = stored.CreatedAt; c.CreatedAt == 0 {
		c.CreatedAt = time.Now().Unix()
	}
	if same(c, stored) {
		return stored, nil
	}
	entry := audit.Entry{
		Kind: audit.Registration, Outcome: audit.Done, ClientID: id,
		Detail: map[string]string{"client_name": c.Name, "redirect_host": client.RedirectHost(c.RedirectURIs[0]), "document": c.DocumentHost()},
	}
	if stored.ID != "" {
		entry.Reason = "the document has changed"
	}
	if another {
		entry.Reason = "the document has changed in where answers go or how the client proves itself; what it was allowed ends"
	}
	if err := s.record(r.Context(), entry); err != nil {
		return client.Client{}, err
	}
	if another {
		return c, s.Clients.ReplaceClient(r.Context(), stored, c, time.Now())
	}
	return c, s.Clients.PutClient(r.Context(), c)
}

func same(a, b client.Client) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}

// mayFetch limits how much anybody makes this server fetch: by who asks, since
// each client_id of a flood can be another, and by whom it would hit.
func (s *Server) mayFetch(r *http.Request, address string) func() error {
	return func() error {
		ok, wait := s.limits.fetches.Allow(addressKey(r))
		if ok {
			ok, wait = s.limits.fetchedHosts.Allow(client.RedirectHost(address))
		}
		if !ok {
			return &oauth.Error{Code: oauth.TooManyRequests, Description: "too many metadata documents are asked for; wait", RetryAfter: seconds(wait)}
		}
		return nil
	}
}

// verifyAssertion verifies a client assertion (RFC 7523 §3) with the keys that
// the client registered or publishes now.
func (s *Server) verifyAssertion(r *http.Request, c client.Client, assertion string, now time.Time) (jti string, expires time.Time, err error) {
	audiences := []string{s.Issuer, s.Issuer + "/token"}
	if c.KeysURI == "" {
		keys, err := s.keySets.parse(c.Keys)
		if err != nil {
			return "", time.Time{}, err
		}
		return jose.VerifyAssertion(assertion, keys, c.ID, audiences, now)
	}
	if s.documents == nil { // turned off
		return "", time.Time{}, errors.New("nothing is fetched here, and so no keys (documents.accept)")
	}
	keys, asked, err := s.documents.Keys(r.Context(), c.KeysURI, time.Time{}, s.mayFetch(r, c.KeysURI))
	if err != nil {
		return "", time.Time{}, err
	}
	jti, expires, err = jose.VerifyAssertion(assertion, keys, c.ID, audiences, now)
	if !errors.Is(err, jose.ErrSignature) {
		return jti, expires, err
	}
	// The client may have a new key since.
	if keys, _, err = s.documents.Keys(r.Context(), c.KeysURI, asked, s.mayFetch(r, c.KeysURI)); err != nil {
		return "", time.Time{}, err
	}
	return jose.VerifyAssertion(assertion, keys, c.ID, audiences, now)
}

// documentPage says to a person why an agent's description is of no use.
func documentPage(err error) error {
	if limit, ok := oauth.AsError(err); ok && limit.Code == oauth.TooManyRequests {
		return &pageError{Status: http.StatusTooManyRequests, Cause: err, View: ErrorView{
			Title: "Too many agents are being looked up",
			What:  "Nothing was looked up for this request.",
			Next:  "Wait " + strconv.Itoa(limit.RetryAfter) + " seconds and start again from your agent.",
		}}
	}
	e, ok := errors.AsType[*client.DocumentError](err)
	switch {
	case !ok:
		return err
	case e.Temporary:
		return &pageError{Status: http.StatusServiceUnavailable, Cause: err, View: ErrorView{
			Title: "This agent's description could not be read",
			What:  "An agent that is not registered here is described by a document at the address that it names. That address did not answer.",
			Next:  "Try again in a minute. If it stays like this, tell the maker of the agent.",
		}}
	}
	return &pageError{Status: http.StatusBadRequest, Cause: err, View: ErrorView{
		Title: "This agent's description cannot be used",
		What:  "An agent that is not registered here is described by a document at the address that it names. With this one something is wrong: " + e.Reason + ".",
		Next:  "Tell the maker of the agent what this page says. If you followed a link from somewhere else, close this page.",
	}}
}

// documentView tells of a client with a document what is verified: who
// publishes it, if nobody else can have its answer. Its name stays its own word
// (security.md 18).
func documentView(v AgentView, c client.Client, redirectURI string) AgentView {
	v.Publisher = c.DocumentHost()
	published := "Its description is published at " + v.Publisher
	switch {
	case c.OwnsRedirect(redirectURI):
		v.Verified = true
		v.How = published + ", and the answer goes to the same place. Its name is what " + v.Publisher + " chose to call it."
	case c.Confidential():
		v.Verified = true
		v.How = published + ", and only who holds its key gets access. Its name is what " + v.Publisher + " chose to call it."
	case c.OnlyLoopback():
		v.How = "It says that it is the program described at " + v.Publisher + ". All its addresses are on this computer, so nothing shows that it is."
	case v.Loopback:
		v.How = "It says that it is the program described at " + v.Publisher + ". Nothing shows that it is."
	default:
		v.How = published + ", but the answer goes to another place."
	}
	return v
}

// asDocument translates errors of documents for JSON endpoints; nil for others.
func asDocument(err error) *oauth.Error {
	e, ok := errors.AsType[*client.DocumentError](err)
	switch {
	case !ok:
		return nil
	case e.Temporary:
		return &oauth.Error{Code: oauth.TemporarilyUnavailable, Description: "the client's metadata document could not be read: " + e.Reason + "; try again shortly", RetryAfter: 10, Cause: err}
	}
	return &oauth.Error{Code: oauth.InvalidClient, Description: "the client's metadata document cannot be used: " + e.Reason, Cause: err}
}
