package admin

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/inspect"
	"gatehouse/internal/oauth"
)

// What people at a terminal do with no agent between, and what they look at
// before.

func (a *API) resume(r *http.Request, c caller) (any, error) {
	subject, reason, err := a.stopRequest(r)
	if err != nil {
		return nil, err
	}
	entry, err := a.Acts.Resume(r.Context(), c.actor(r), subject, reason)
	return apiDone{Audit: entry}, err
}

// apiInvited is an invitation in an answer. The link is a secret.
type apiInvited struct {
	Audit     string `json:"audit"`
	ID        string `json:"id"`
	Name      string `json:"name"`
	Link      string `json:"link"`
	ExpiresAt int64  `json:"expires_at"`
}

func (a *API) invitePerson(r *http.Request, c caller) (any, error) {
	var ask struct {
		Name       string            `json:"name"`
		Role       string            `json:"role"`
		Attributes map[string]string `json:"attributes"`
	}
	if err := readBody(r, &ask); err != nil {
		return nil, err
	}
	if ask.Role == "" {
		ask.Role = "none"
	}
	i, err := a.Acts.Invite(r.Context(), c.actor(r), Newcomer{Name: ask.Name, Role: roleOf(ask.Role), Claims: ask.Attributes})
	return apiInvited{i.Entry, i.ID, i.Name, i.Link, i.Until.Unix()}, err
}

func (a *API) inviteAnew(r *http.Request, c caller) (any, error) {
	var ask struct {
		Reason string `json:"reason"`
	}
	if err := readBody(r, &ask); err != nil {
		return nil, err
	}
	id, err := a.personID(r)
	if err != nil {
		return nil, err
	}
	i, err := a.Acts.InviteAnew(r.Context(), c.actor(r), id, ask.Reason)
	return apiInvited{i.Entry, i.ID, i.Name, i.Link, i.Until.Unix()}, err
}

// personID is whom the path names, by name or id.
func (a *API) personID(r *http.Request) (string, error) {
	subject, err := a.Acts.Find(r.Context(), oauth.SubjectAccount, r.PathValue("person"))
	return subject.ID, err
}

type apiRole struct {
	Role string `json:"role"`
}

type apiAttributes struct {
	Attributes map[string]string `json:"attributes"`
}

func roleAnswer(acc account.Account) apiRole { return apiRole{roleName(acc.Role)} }

func attributesAnswer(acc account.Account) apiAttributes {
	if acc.Claims == nil {
		acc.Claims = map[string]string{}
	}
	return apiAttributes{acc.Claims}
}

func (a *API) account(r *http.Request) (account.Account, error) {
	id, err := a.personID(r)
	if err != nil {
		return account.Account{}, err
	}
	return a.Accounts.Account(r.Context(), id)
}

func (a *API) getRole(r *http.Request, _ caller) (any, error) {
	acc, err := a.account(r)
	return roleAnswer(acc), err
}

func (a *API) getAttributes(r *http.Request, _ caller) (any, error) {
	acc, err := a.account(r)
	return attributesAnswer(acc), err
}

// putRole and putAttributes replace what was read, and nothing that somebody
// else has written meanwhile: If-Match says what was read (RFC 9110 §13.1.1), and
// the store looks once more.
func (a *API) putRole(r *http.Request, c caller) (any, error) {
	var ask struct {
		apiRole
		Reason string `json:"reason"`
	}
	if err := readBody(r, &ask); err != nil {
		return nil, err
	}
	acc, err := a.account(r)
	if err == nil {
		err = ifMatch(r, roleAnswer(acc))
	}
	if err != nil {
		return nil, err
	}
	entry, err := a.Acts.SetRole(r.Context(), c.actor(r), acc.ID, acc.Role, roleOf(ask.Role), ask.Reason)
	return apiDone{Audit: entry}, err
}

func (a *API) putAttributes(r *http.Request, c caller) (any, error) {
	var ask struct {
		apiAttributes
		Reason string `json:"reason"`
	}
	if err := readBody(r, &ask); err != nil {
		return nil, err
	}
	if ask.Attributes == nil {
		return nil, &apiError{http.StatusBadRequest, "attributes is missing; send all that there shall be, {} for none"}
	}
	acc, err := a.account(r)
	if err == nil {
		err = ifMatch(r, attributesAnswer(acc))
	}
	if err != nil {
		return nil, err
	}
	entry, err := a.Acts.SetClaims(r.Context(), c.actor(r), acc.ID, acc.Claims, ask.Attributes, ask.Reason)
	return apiDone{Audit: entry}, err
}

// ifMatch refuses a request that was not made from what now is.
func ifMatch(r *http.Request, now any) error {
	given := r.Header.Get("If-Match")
	if given == "" || given == "*" {
		return &apiError{http.StatusPreconditionRequired, "send If-Match with the ETag of what you read, so that nobody else's change is lost"} // RFC 6585 §3
	}
	current, err := tagOf(now)
	if err != nil {
		return err
	}
	for one := range strings.SplitSeq(given, ",") {
		if strings.TrimSpace(one) == current {
			return nil
		}
	}
	return account.ErrChanged
}

// apiSession is a sign-in in an answer.
type apiSession struct {
	Ref       string `json:"session"`
	SignedIn  int64  `json:"signed_in"`
	ExpiresAt int64  `json:"expires_at"`
	Password  bool   `json:"password"` // was given; in a demo a name may be enough
}

func (a *API) listSessions(r *http.Request, _ caller) (any, error) {
	acc, err := a.account(r)
	if err != nil {
		return nil, err
	}
	list, err := a.Acts.People.SessionsOf(r.Context(), acc.ID, maxShown, time.Now())
	if err != nil {
		return nil, err
	}
	sessions := []apiSession{}
	for _, s := range list {
		sessions = append(sessions, apiSession{sessionRef(s), s.AuthTime, s.ExpiresAt, slices.Contains(s.AMR, "pwd")})
	}
	return map[string]any{"sessions": sessions}, nil
}

func (a *API) signOutPerson(r *http.Request, c caller) (any, error) {
	var ask struct {
		Session string `json:"session"` // empty: all
		Reason  string `json:"reason"`
	}
	if err := readBody(r, &ask); err != nil {
		return nil, err
	}
	id, err := a.personID(r)
	if err != nil {
		return nil, err
	}
	entry, err := a.Acts.EndSessions(r.Context(), c.actor(r), id, ask.Session, ask.Reason)
	return apiDone{Audit: entry}, err
}

func (a *API) rotateKey(r *http.Request, c caller) (any, error) {
	var ask struct {
		Algorithm   string `json:"alg"`
		Compromised bool   `json:"compromised"`
		Reason      string `json:"reason"`
	}
	if err := readBody(r, &ask); err != nil {
		return nil, err
	}
	key, entry, err := a.Acts.RotateKey(r.Context(), c.actor(r), ask.Algorithm, ask.Compromised, ask.Reason)
	return struct {
		apiDone
		apiKey
	}{apiDone{Audit: entry}, apiKey{key.KeyID, key.Algorithm, key.CreatedAt, key.SignsFrom, key.PublishedUntil}}, err
}

// apiDocument is the document of an API as its file has it now, against the one
// that is live.
type apiDocument struct {
	Digest  string      `json:"sha256"`
	Live    string      `json:"live_sha256"`
	Problem string      `json:"problem,omitempty"` // why it cannot go live
	Changes []apiChange `json:"changes"`
}

type apiChange struct {
	Kind   string `json:"kind"` // added, removed, changed
	Tool   string `json:"tool,omitempty"`
	Scope  string `json:"scope,omitempty"`
	What   string `json:"what,omitempty"`
	Before string `json:"before,omitempty"`
	After  string `json:"after,omitempty"`
	Opens  bool   `json:"opens"` // an agent can do more by it
}

func (a *API) getDocument(r *http.Request, _ caller) (any, error) {
	at := slices.IndexFunc(a.Acts.APIs, func(api *catalog.API) bool { return api.Name == r.PathValue("api") })
	if at < 0 {
		return nil, errNothing
	}
	draft, err := a.Acts.Documents.Look(r.Context(), a.Acts.APIs[at].Name)
	if errors.Is(err, ErrNoDocument) {
		return nil, errNothing
	}
	if err != nil {
		return nil, err
	}
	d := apiDocument{Digest: draft.Digest, Live: draft.Live, Changes: []apiChange{}}
	if draft.Problem != nil {
		d.Problem = draft.Problem.Error()
	}
	if draft.API != nil {
		for _, c := range catalog.Diff(a.Acts.APIs[at], draft.API) {
			d.Changes = append(d.Changes, apiChange(c))
		}
	}
	return d, nil
}

func (a *API) takeDocumentLive(r *http.Request, c caller) (any, error) {
	var ask struct {
		Digest string `json:"sha256"`
		Reason string `json:"reason"`
	}
	if err := readBody(r, &ask); err != nil {
		return nil, err
	}
	entry, err := a.Acts.TakeLive(r.Context(), c.actor(r), r.PathValue("api"), ask.Digest, ask.Reason)
	if errors.Is(err, ErrNoDocument) {
		err = errNothing
	}
	return apiDone{Audit: entry}, err
}

// apiRecording is that messages of somebody are recorded.
type apiRecording struct {
	Kind   string `json:"subject"`
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Since  int64  `json:"since"`
	Until  int64  `json:"until"`
}

func (a *API) listRecordings(r *http.Request, _ caller) (any, error) {
	list := []apiRecording{}
	if a.Acts.Messages != nil {
		switches, err := a.Acts.Messages.Switches(r.Context(), time.Now())
		if err != nil {
			return nil, err
		}
		for _, s := range switches {
			list = append(list, apiRecording{s.Subject, s.ID, s.Reason, s.Since, s.Until})
		}
	}
	return map[string]any{"recordings": list}, nil
}

// recordable returns what a request wants recorded, or no more: a client or a
// grant.
func (a *API) recordable(r *http.Request) (s Subject, minutes int, reason string, err error) {
	var ask struct {
		Kind    string `json:"subject"`
		ID      string `json:"id"`
		Minutes int    `json:"minutes"`
		Reason  string `json:"reason"`
	}
	if err := readBody(r, &ask); err != nil {
		return s, 0, "", err
	}
	if ask.Kind != oauth.SubjectClient && ask.Kind != oauth.SubjectGrant || a.Acts.Messages == nil {
		return s, 0, "", &apiError{http.StatusBadRequest, fmt.Sprintf("messages of a %.20q are not recorded; name a client or a grant", ask.Kind)}
	}
	s, err = a.Acts.Find(r.Context(), ask.Kind, ask.ID)
	return s, ask.Minutes, ask.Reason, err
}

func (a *API) record(r *http.Request, c caller) (any, error) {
	s, minutes, reason, err := a.recordable(r)
	if err != nil {
		return nil, err
	}
	length := time.Duration(min(max(minutes, 0), 10_000)) * time.Minute
	entry, err := a.Acts.Record(r.Context(), c.actor(r), s, length, reason)
	return apiDone{Audit: entry}, err
}

func (a *API) stopRecording(r *http.Request, c caller) (any, error) {
	s, _, _, err := a.recordable(r)
	if err != nil {
		return nil, err
	}
	entry, err := a.Acts.StopRecording(r.Context(), c.actor(r), s)
	return apiDone{Audit: entry}, err
}

// listMessages returns what was recorded of an agent, and records that it was
// looked at (security.md 22).
func (a *API) listMessages(r *http.Request, c caller) (any, error) {
	q, err := query(r)
	if err != nil {
		return nil, err
	}
	agent, flows, err := a.Server.recorded(r, clipped(q.Get("client_id")))
	if err != nil {
		return nil, err
	}
	_, err = a.Acts.record(r.Context(), c.actor(r), "recorded messages read", "", audit.Entry{ClientID: agent.ID}, func() error { return nil })
	if err != nil {
		return nil, err
	}
	type message struct {
		Time int64        `json:"time"` // microseconds of Unix time
		Kind inspect.Kind `json:"kind"`
		inspect.Message
	}
	type flow struct {
		ID       string    `json:"id"`
		Messages []message `json:"messages"`
	}
	list := []flow{}
	for _, f := range flows {
		one := flow{ID: f.ID, Messages: []message{}}
		for _, m := range f.Messages {
			one.Messages = append(one.Messages, message{m.Time, m.Kind, m})
		}
		list = append(list, one)
	}
	return map[string]any{"flows": list}, nil
}
