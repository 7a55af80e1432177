package gateway_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/gateway"
	"gatehouse/internal/oauth"
)

const usersURL = mcpURL + "/users"

func pausedTool(name string) map[string]*oauth.Closed {
	return map[string]*oauth.Closed{usersURL: {Tools: map[string]oauth.Closure{name: oauth.Paused}}}
}

func closedAPI(how oauth.Closure) map[string]*oauth.Closed {
	return map[string]*oauth.Closed{usersURL: {API: how}}
}

// close closes what there is to be closed in place of what was.
func (f *feed) close(closed map[string]*oauth.Closed, subject, id string) {
	f.set(func() { f.closed = closed })
	if subject != "" {
		f.announce(subject, id)
	}
}

// calling sends a call of a tool in an era.
func (w *world) calling(era, token, tool string) *httptest.ResponseRecorder {
	w.t.Helper()
	params := map[string]any{"name": tool, "arguments": map[string]any{}}
	if era == "modern" {
		return w.do(modern(token, "tools/call", params))
	}
	return w.do(legacy(token, era, "tools/call", params))
}

// listed returns the names of the tools that somebody is told of; nil if nothing is told.
func (w *world) listed(era, token string) (names []string) {
	w.t.Helper()
	q := legacy(token, era, "tools/list", nil)
	if era == "modern" {
		q = modern(token, "tools/list", nil)
	}
	var answer struct {
		Result struct{ Tools []struct{ Name string } }
	}
	if err := json.Unmarshal(w.do(q).Body.Bytes(), &answer); err != nil {
		w.t.Error(err)
	}
	for _, t := range answer.Result.Tools {
		names = append(names, t.Name)
	}
	return names
}

// security.md 14: a tool that an administrator has paused or ended is to agents
// like one that does not exist, though the audit says what it was; no challenge
// names its scopes, others go on, and resumed it is back.
func TestClosedToolsAreUnknown(t *testing.T) {
	for how, cut := range map[string]bool{"told by the feed": false, "asked, the feed being cut": true} {
		t.Run(how, func(t *testing.T) {
			following(t, func(t *testing.T, w *world, f *feed) {
				all := w.listed("modern", "writer")
				if w.callTool("writer", "create-user", map[string]any{"name": "Ada"}); !slices.Contains(all, "create-user") || len(w.api.requests()) != 1 {
					t.Fatal("the tool does not work to begin with")
				}
				if cut {
					f.set(func() { f.down = true })
				}
				f.close(pausedTool("create-user"), oauth.SubjectTool, oauth.ToolID(usersURL, "create-user"))
				time.Sleep(time.Second)
				for _, era := range []string{"modern", "2025-11-25", "2025-03-26"} {
					for _, token := range []string{"writer", "reader"} { // with its scope and without
						closed, unknown := w.calling(era, token, "create-user"), w.calling(era, token, "destroy-all")
						if want := strings.ReplaceAll(unknown.Body.String(), "destroy-all", "create-user"); closed.Body.String() != want || closed.Code != unknown.Code || errorCode(closed) != -32602 {
							t.Errorf("%s, %s: %d %s\nunknown: %d %s", era, token, closed.Code, closed.Body, unknown.Code, unknown.Body)
						}
						if c := closed.Header().Get("WWW-Authenticate"); c != "" {
							t.Errorf("%s, %s: challenge %s", era, token, c)
						}
					}
					if want := slices.DeleteFunc(slices.Clone(all), func(s string) bool { return s == "create-user" }); !slices.Equal(w.listed(era, "writer"), want) {
						t.Errorf("%s: listed %v", era, w.listed(era, "writer"))
					}
				}
				if n := len(w.api.requests()); n != 1 {
					t.Errorf("%d requests to the API", n)
				}
				entries := w.audit.all()
				if last := entries[len(entries)-1]; last.Kind != audit.Call || last.Outcome != audit.Denied || last.Tool != "create-user" || last.Reason != "the tool is paused by an administrator" || last.AccountID != "alice" {
					t.Errorf("audit: %+v", last)
				}
				if got := w.callTool("writer", "fetch-users", nil); got.IsError {
					t.Errorf("another tool: %s", got.text())
				}
				f.close(nil, "", "")
				time.Sleep(time.Second)
				if got := w.callTool("writer", "create-user", map[string]any{"name": "Ada"}); got.IsError || !slices.Equal(w.listed("2025-11-25", "writer"), all) {
					t.Errorf("resumed: %s, %v", got.text(), w.listed("2025-11-25", "writer"))
				}
			})
		})
	}
}

// security.md 12, 14: everybody with a valid token is told that an API is
// paused, whatever they ask; without one nobody is told anything; other APIs of
// the gateway go on.
func TestClosedAPISaysSo(t *testing.T) {
	following(t, func(t *testing.T, w *world, f *feed) {
		w.callTool("writer", "fetch-users", nil)
		f.close(closedAPI(oauth.Paused), oauth.SubjectAPI, usersURL)
		time.Sleep(time.Second)
		const want = "An administrator has paused Customer API."
		for _, tool := range []string{"fetch-users", "create-user", "no-such-tool"} {
			if got := w.callTool("reader", tool, nil); !got.IsError || !strings.Contains(got.text(), want) {
				t.Errorf("%s: %s", tool, got.text())
			}
		}
		for _, q := range []request{
			modern("reader", "tools/list", nil), modern("reader", "server/discover", nil), modern("reader", "no/such", nil),
			legacy("reader", "2025-11-25", "initialize", map[string]any{"protocolVersion": "2025-11-25"}),
			legacy("reader", "2025-11-25", "ping", nil), legacy("reader", "2025-03-26", "tools/list", nil),
		} {
			if rec := w.do(q); errorCode(rec) != -32603 || !strings.Contains(rec.Body.String(), want) || rec.Header().Get("WWW-Authenticate") != "" {
				t.Errorf("%s: %d %s", q.body, rec.Code, rec.Body)
			}
		}
		for _, token := range []string{"", "unknown", "orders"} {
			if rec := w.do(modern(token, "tools/list", nil)); rec.Code != http.StatusUnauthorized || strings.Contains(rec.Body.String(), "paused") {
				t.Errorf("token %q: %d %s", token, rec.Code, rec.Body)
			}
		}
		if n := len(w.api.requests()); n != 1 {
			t.Errorf("%d requests to the API", n)
		}
		var denied []string
		for _, e := range w.audit.all() {
			if e.Outcome == audit.Denied {
				denied = append(denied, e.Tool+": "+e.Reason)
			}
		}
		if !slices.Equal(denied, []string{"fetch-users: the API is paused by an administrator", "create-user: the API is paused by an administrator"}) {
			t.Errorf("audit: %q", denied)
		}
		q := modern("orders", "tools/list", nil)
		q.path = "/orders"
		if rec := w.do(q); rec.Code != http.StatusOK {
			t.Errorf("another API: %d %s", rec.Code, rec.Body)
		}
		f.close(closedAPI(oauth.Ended), oauth.SubjectAPI, usersURL)
		time.Sleep(time.Second)
		if got := w.callTool("reader", "fetch-users", nil); !strings.Contains(got.text(), "for good") {
			t.Errorf("ended: %s", got.text())
		}
		f.close(nil, "", "")
		time.Sleep(time.Second)
		if got := w.callTool("writer", "fetch-users", nil); got.IsError {
			t.Errorf("resumed: %s", got.text())
		}
	})
}

// security.md 11: a gateway that starts while something is closed knows it before
// its first call, whether it can read the feed yet or not; and nothing that the
// feed loses makes it forget.
func TestClosuresOutliveTheFeed(t *testing.T) {
	closed := func() *feed { return &feed{closed: closedAPI(oauth.Paused)} }
	refused := func(t *testing.T, when string, w *world) {
		t.Helper()
		if got := w.callTool("reader", "fetch-users", nil); !got.IsError || !strings.Contains(got.text(), "paused") || len(w.api.requests()) != 0 {
			t.Errorf("%s: %s", when, got.text())
		}
	}
	followingAs(t, closed(), nil, func(t *testing.T, w *world, f *feed) {
		refused(t, "started", w)
		time.Sleep(2 * time.Minute) // no answer is as old
		refused(t, "long after", w)
	})
	f := closed()
	f.down = true
	followingAs(t, f, nil, func(t *testing.T, w *world, f *feed) {
		refused(t, "started without the feed", w)
		f.set(func() { f.down = false })
		time.Sleep(time.Second)
		refused(t, "the feed came", w)
		f.set(func() { f.down = true })
		time.Sleep(time.Second)
		refused(t, "the feed went", w)
		f.close(nil, "", "")
		if got := w.callTool("reader", "fetch-users", nil); got.IsError {
			t.Errorf("resumed while the feed is cut: %s", got.text())
		}
		f.close(closedAPI(oauth.Paused), oauth.SubjectAPI, usersURL)
		if got := w.callTool("reader", "fetch-users", nil); !strings.Contains(got.text(), "paused") {
			t.Errorf("paused while the feed is cut: %s", got.text())
		}
	})
}

// security.md 14: who lists without a token is not told of closed tools, and of
// none while the gateway cannot know.
func TestClosedToolsAreHiddenFromNobody(t *testing.T) {
	openly := func(s *gateway.Server) { s.APIs[0].OpenListing = true }
	followingAs(t, &feed{}, openly, func(t *testing.T, w *world, f *feed) {
		page := func() string {
			return w.do(request{method: "GET", header: map[string]string{"Accept": "text/html"}}).Body.String()
		}
		if !slices.Contains(w.listed("modern", ""), "create-user") || !strings.Contains(page(), "create-user") {
			t.Fatal("nothing is listed to begin with")
		}
		f.close(pausedTool("create-user"), oauth.SubjectTool, oauth.ToolID(usersURL, "create-user"))
		time.Sleep(time.Second)
		if names := w.listed("modern", ""); slices.Contains(names, "create-user") || !slices.Contains(names, "fetch-users") {
			t.Errorf("listed to nobody: %v", names)
		}
		if p := page(); strings.Contains(p, "create-user") || !strings.Contains(p, "fetch-users") {
			t.Errorf("on the page: %s", p)
		}
		f.close(closedAPI(oauth.Paused), oauth.SubjectAPI, usersURL)
		time.Sleep(time.Second)
		if rec := w.do(modern("", "tools/list", nil)); errorCode(rec) != -32603 || strings.Contains(page(), "fetch-users") {
			t.Errorf("a paused API: %d %s", rec.Code, rec.Body)
		}
		f.set(func() { f.down = true })
		time.Sleep(time.Second)
		if rec := w.do(modern("", "tools/list", nil)); rec.Code != http.StatusServiceUnavailable || strings.Contains(page(), "fetch-users") {
			t.Errorf("the feed is cut: %d %s", rec.Code, rec.Body)
		}
	})
}

// security.md 11: tokens made for an API fall when a tool of it is closed, and
// the callers' own stay what they are.
func TestExchangedTokensFallWithTools(t *testing.T) {
	following(t, func(t *testing.T, w *world, f *feed) {
		w.callTool("reader", "fetch-users", nil)
		f.announce(oauth.SubjectTool, oauth.ToolID(mcpURL+"/orders", "fetch-orders"))
		time.Sleep(time.Second)
		w.callTool("reader", "fetch-users", nil)
		if n := len(w.as.exchanged()); n != 1 {
			t.Fatalf("%d exchanges after a tool of another API was closed", n)
		}
		f.close(pausedTool("create-user"), oauth.SubjectTool, oauth.ToolID(usersURL, "create-user"))
		time.Sleep(time.Second)
		w.callTool("reader", "fetch-users", nil)
		if n, asked := len(w.as.exchanged()), w.as.questions(); n != 2 || asked != 1 {
			t.Errorf("%d exchanges, %d questions after a tool was closed", n, asked)
		}
	})
}

// Behind an authorization server of others the gateway honours what its own
// store has closed, and serves nothing while that cannot be read.
func TestClosuresBehindAnExternalServer(t *testing.T) {
	var closed map[string]*oauth.Closed
	var broken error
	w := external(t, &outsider{}, false)
	w.gateway.External.Closed = func(context.Context) (map[string]*oauth.Closed, error) { return closed, broken }
	try := func() *httptest.ResponseRecorder { return w.calling("modern", "alice.rw", "fetch-users") }
	if rec := try(); rec.Code != http.StatusOK {
		t.Fatalf("%d %s", rec.Code, rec.Body)
	}
	closed = pausedTool("fetch-users")
	if rec := try(); errorCode(rec) != -32602 || slices.Contains(w.listed("modern", "alice.rw"), "fetch-users") {
		t.Errorf("a paused tool: %d %s", rec.Code, rec.Body)
	}
	closed = closedAPI(oauth.Ended)
	if rec := try(); !strings.Contains(rec.Body.String(), "for good") {
		t.Errorf("a closed API: %d %s", rec.Code, rec.Body)
	}
	closed, broken = nil, errors.New("the disk is gone")
	if rec := try(); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("unreadable: %d %s", rec.Code, rec.Body)
	}
	if n := len(w.api.requests()); n != 1 {
		t.Errorf("%d requests to the API", n)
	}
}
