package authserver_test

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
)

func shipment(t *testing.T, entries ...audit.Entry) url.Values {
	t.Helper()
	text, err := json.Marshal(entries)
	if err != nil {
		t.Fatal(err)
	}
	return url.Values{"entries": {string(text)}}
}

func call(change func(*audit.Entry)) audit.Entry {
	e := audit.Entry{
		ID: "abcdefghijklmnop", Time: time.Now().UnixMilli(), Kind: audit.Call, Outcome: audit.Started,
		AccountID: "ac", ClientID: "cl", GrantID: "g", API: "customers", Tool: "fetch-users", Detail: map[string]string{"arguments": "limit"},
	}
	if change != nil {
		change(&e)
	}
	return e
}

func (w *world) entries() map[string]audit.Entry {
	w.t.Helper()
	list, err := w.DB.Recent(w.t.Context(), 100)
	if err != nil {
		w.t.Fatal(err)
	}
	all := map[string]audit.Entry{}
	for _, e := range list {
		all[e.ID] = e
	}
	return all
}

// A gateway's entries arrive once, begin and end, with the gateway's name.
func TestGatewaysSendTheirEntries(t *testing.T) {
	w := newWorld(t, options{})
	begun := call(nil)
	ended := call(func(e *audit.Entry) {
		e.Outcome, e.Reason, e.Detail = audit.Failed, "why", map[string]string{"status": "502"}
	})
	later := call(func(e *audit.Entry) { e.Outcome, e.Reason = audit.Done, "another end" })
	for name, s := range map[string]struct {
		sent audit.Entry
		want audit.Outcome
	}{"1 begin": {begun, audit.Started}} {
		if a := w.form("/audit", w.asGateway(shipment(t, s.sent))); a.Status != http.StatusNoContent {
			t.Fatalf("%s: %d %v", name, a.Status, a.Body)
		}
		if e := w.entries()["gateway:abcdefghijklmnop"]; e.Outcome != s.want || e.Detail["gateway"] != "gateway" || e.Detail["arguments"] != "limit" || e.GrantID != "g" {
			t.Fatalf("%s: %+v", name, e)
		}
	}
	for _, s := range []audit.Entry{ended, ended, begun, later} { // again, out of order, and changed afterwards
		if a := w.form("/audit", w.asGateway(shipment(t, s))); a.Status != http.StatusNoContent {
			t.Fatalf("%d %v", a.Status, a.Body)
		}
		if e := w.entries()["gateway:abcdefghijklmnop"]; e.Outcome != audit.Failed || e.Reason != "why" || e.Detail["status"] != "502" || e.Detail["gateway"] != "gateway" {
			t.Errorf("after %s: %+v", s.Outcome, e)
		}
	}
	if n := len(w.entries()); n != 1 {
		t.Errorf("%d entries", n)
	}
	// What no store can take is left out, and stops nothing.
	odd := call(func(e *audit.Entry) { e.ID, e.Reason = "ponmlkjihgfedcba", "a\x00b"+strings.Repeat("x", 5000) })
	if a := w.form("/audit", w.asGateway(shipment(t, odd))); a.Status != http.StatusNoContent {
		t.Errorf("%d %v", a.Status, a.Body)
	}
	if e := w.entries()["gateway:ponmlkjihgfedcba"]; !strings.HasPrefix(e.Reason, "abx") || len(e.Reason) > 2000 {
		t.Errorf("%q", e.Reason)
	}
}

// What a gateway may not tell of is refused, whole.
func TestGatewaysTellOfCallsOnly(t *testing.T) {
	w := newWorld(t, options{})
	_, secret := w.confidential()
	good := call(func(e *audit.Entry) { e.ID = "bbbbbbbbbbbbbbbb" })
	for name, form := range map[string]url.Values{
		"a sign-in":          shipment(t, good, call(func(e *audit.Entry) { e.Kind = audit.SignIn })),
		"a consent":          shipment(t, good, call(func(e *audit.Entry) { e.Kind = audit.Consent })),
		"an act of an admin": shipment(t, good, call(func(e *audit.Entry) { e.Kind = audit.Admin })),
		"an unknown outcome": shipment(t, good, call(func(e *audit.Entry) { e.Outcome = "well" })),
		"another's id":       shipment(t, good, call(func(e *audit.Entry) { e.ID = "other:abcdefghijklmnop" })),
		"no id":              shipment(t, good, call(func(e *audit.Entry) { e.ID = "" })),
		"the future":         shipment(t, good, call(func(e *audit.Entry) { e.Time = time.Now().Add(2 * time.Hour).UnixMilli() })),
		"no time":            shipment(t, good, call(func(e *audit.Entry) { e.Time = 0 })),
		"no list":            {"entries": {`{}`}},
		"nothing":            {},
	} {
		if a := w.form("/audit", w.asGateway(form)); a.Status != http.StatusBadRequest {
			t.Errorf("%s: %d %v", name, a.Status, a.Body)
		}
	}
	id := w.party()
	for name, form := range map[string]url.Values{
		"a public client": {"client_id": {id}, "entries": shipment(t, good)["entries"]},
		"a wrong secret":  {"client_id": {id}, "client_secret": {secret}, "entries": shipment(t, good)["entries"]},
	} {
		if a := w.form("/audit", form); a.Status != http.StatusBadRequest && a.Status != http.StatusUnauthorized {
			t.Errorf("%s: %d %v", name, a.Status, a.Body)
		}
	}
	for id, e := range w.entries() {
		if e.Kind == audit.Call {
			t.Errorf("%s was taken: %+v", id, e)
		}
	}
}
