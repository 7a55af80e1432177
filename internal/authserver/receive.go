package authserver

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/httpserver"
	"gatehouse/internal/oauth"
)

// Limits of what a gateway sends.
const (
	maxShipment     = 2 << 20 // bytes of a request
	maxShipped      = 500     // entries of it
	maxShippedText  = 2000    // bytes of a text in it
	maxShippedFacts = 32
)

// receive takes the audit entries of a gateway that is a process of its own. A
// gateway tells of calls and of nothing else: it cannot claim that somebody
// signed in or agreed. Its name becomes part of each entry and of its ID, so
// that it can neither speak for another gateway nor touch another's entries.
func (s *Server) receive(w http.ResponseWriter, r *http.Request) error {
	form, err := oauth.ParseFormWithin(maxShipment, r)
	if err != nil {
		return err
	}
	c, _, err := s.authenticateClient(r, form)
	if err != nil {
		return err
	}
	httpserver.Note(r.Context(), "client_id", c.ID)
	if c.Origin != client.Gateway || !c.Confidential() {
		return oauth.NewError(oauth.UnauthorizedClient, "audit entries are taken from this installation's gateways")
	}
	var entries []audit.Entry
	if err := json.Unmarshal([]byte(form.Get("entries")), &entries); err != nil {
		return &oauth.Error{Code: oauth.InvalidRequest, Description: "entries is no list of audit entries", Cause: err}
	}
	if len(entries) > maxShipped {
		return oauth.NewError(oauth.InvalidRequest, "there are more than 500 entries; send them in parts")
	}
	for i := range entries {
		if problem := unfit(entries[i], time.Now()); problem != "" {
			return oauth.NewError(oauth.InvalidRequest, "an entry "+problem)
		}
		entries[i] = storable(entries[i])
		entries[i].ID = c.ID + ":" + entries[i].ID
		entries[i].Detail["gateway"] = c.ID
	}
	if err := s.Inbox.Receive(r.Context(), entries); err != nil {
		return err
	}
	httpserver.Quiet(r.Context()) // once a second, of each gateway
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// unfit says what is wrong with an entry that a gateway sent; empty if nothing.
func unfit(e audit.Entry, now time.Time) string {
	switch {
	case e.Kind != audit.Call:
		return "is of a kind that gateways do not tell of"
	case e.Outcome != audit.Started && e.Outcome != audit.Done && e.Outcome != audit.Denied && e.Outcome != audit.Failed:
		return "has no known outcome"
	case len(e.ID) < 16 || len(e.ID) > 64 || strings.Trim(e.ID, "abcdefghijklmnopqrstuvwxyz0123456789") != "":
		return "has no usable id"
	case e.Time <= 0 || e.Time > now.Add(time.Hour).UnixMilli():
		return "is from a time that has not come"
	case len(e.Detail) > maxShippedFacts:
		return "has too many facts"
	}
	return ""
}

// storable shortens what is too long and leaves out what no store can take. It
// is no reason to refuse an entry, which would be sent for ever.
func storable(e audit.Entry) audit.Entry {
	for _, text := range []*string{&e.AccountID, &e.ClientID, &e.GrantID, &e.API, &e.Tool, &e.Reason, &e.RequestID} {
		*text = cutText(*text)
	}
	detail := map[string]string{}
	for name, value := range e.Detail {
		detail[cutText(name)] = cutText(value)
	}
	e.Detail = detail
	return e
}

func cutText(s string) string {
	if len(s) > maxShippedText {
		s = s[:maxShippedText]
	}
	return strings.ReplaceAll(strings.ToValidUTF8(s, ""), "\x00", "")
}
