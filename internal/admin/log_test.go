package admin_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"gatehouse/internal/account"
	"gatehouse/internal/admin"
	"gatehouse/internal/audit"
	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/resource"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
)

const consoleHost = "http://admin.example"

// logWorld is a console over a store that a test fills.
type logWorld struct {
	t       *testing.T
	db      *sqlstore.DB
	handler http.Handler
	cookie  string // of who is signed in
}

// onLogs runs f on each engine.
func onLogs(t *testing.T, f func(w *logWorld)) {
	t.Run("sqlite", func(t *testing.T) { f(newLogWorld(t, "sqlite:"+filepath.Join(t.TempDir(), "gatehouse.db"))) })
	t.Run("postgres", func(t *testing.T) { f(newLogWorld(t, webtest.Postgres(t))) })
}

func newLogWorld(t *testing.T, dsn string) *logWorld {
	t.Helper()
	w := &logWorld{t: t}
	var err error
	if w.db, err = sqlstore.Open(t.Context(), dsn, sqlstore.Options{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.must(w.db.Close()) })
	s := &admin.Server{
		URL: consoleHost, Key: secret.New(""), AuthServer: &resource.AuthorizationServer{Issuer: "http://login.example"}, Keys: &jose.RemoteKeySet{},
		Accounts: w.db, Pulse: w.db, Log: w.db, Agents: w.db,
		Acts: &admin.Acts{Clients: w.db, Accounts: w.db, Stops: w.db, Audit: w.db,
			APIs: []*catalog.API{{Name: "customers", Title: "Customer API", Tools: []*catalog.Tool{{Name: "fetch-users", Title: "List users"}, {Name: "refund-order", Title: "Refund"}}}}},
	}
	if w.handler, err = s.Handler(); err != nil {
		t.Fatal(err)
	}
	w.signIn("root", account.Administrator)
	return w
}

func (w *logWorld) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

// signIn gives whoever asks from now on the session of an account.
func (w *logWorld) signIn(name string, role account.Role) {
	w.t.Helper()
	ctx := w.t.Context()
	w.must(w.db.AddAccount(ctx, account.Account{ID: "id-of-" + name, Name: name}))
	w.must(w.db.SetRole(ctx, "id-of-"+name, role))
	w.cookie = secret.New("")
	w.must(w.db.StartSession(ctx, account.Session{
		Hash: secret.Sum("console " + w.cookie), AccountID: "id-of-" + name, AMR: []string{"pwd"}, AuthTime: time.Now().Unix(), ExpiresAt: time.Now().Unix() + 3600,
	}, ""))
}

func (w *logWorld) get(path string) *httptest.ResponseRecorder {
	w.t.Helper()
	r := httptest.NewRequestWithContext(w.t.Context(), http.MethodGet, consoleHost+path, nil)
	r.AddCookie(&http.Cookie{Name: "gatehouse-console", Value: w.cookie})
	answer := httptest.NewRecorder()
	w.handler.ServeHTTP(answer, r)
	return answer
}

// text is a page as a person reads it.
func (w *logWorld) text(path string) string {
	w.t.Helper()
	answer := w.get(path)
	if answer.Code != http.StatusOK {
		w.t.Fatalf("%s: %d\n%s", path, answer.Code, answer.Body)
	}
	return (&webtest.Page{Body: answer.Body.String()}).Text()
}

var (
	entryLink = regexp.MustCompile(`<a href="/admin/audit/([a-z0-9-]+)">`)
	nextLink  = regexp.MustCompile(`<a [^>]*?href="([^"]+)" rel="next"`)
)

// list follows a list to its end and returns the entries it links to.
func (w *logWorld) list(q url.Values) []string {
	w.t.Helper()
	var ids []string
	for path := "/admin/audit?" + q.Encode(); ; {
		answer := w.get(path)
		if answer.Code != http.StatusOK {
			w.t.Fatalf("%s: %d\n%s", path, answer.Code, answer.Body)
		}
		body := answer.Body.String()
		for _, m := range entryLink.FindAllStringSubmatch(body, -1) {
			ids = append(ids, m[1])
		}
		next := nextLink.FindStringSubmatch(body)
		if next == nil {
			return ids
		}
		path = strings.ReplaceAll(next[1], "&amp;", "&")
	}
}

// exportOf returns the lines of an export without the last, and the last.
func (w *logWorld) exportOf(q url.Values) (lines []map[string]any, last map[string]any) {
	w.t.Helper()
	answer := w.get("/admin/audit.jsonl?" + q.Encode())
	if answer.Code != http.StatusOK || answer.Header().Get("Content-Type") != "application/jsonl" ||
		!strings.HasPrefix(answer.Header().Get("Content-Disposition"), "attachment; ") || answer.Header().Get("X-Content-Type-Options") != "nosniff" {
		w.t.Fatalf("export of %v: %d %v", q, answer.Code, answer.Header())
	}
	for scan := bufio.NewScanner(answer.Body); scan.Scan(); {
		var line map[string]any
		w.must(json.Unmarshal(scan.Bytes(), &line))
		lines = append(lines, line)
	}
	if len(lines) == 0 {
		w.t.Fatalf("export of %v is empty", q)
	}
	return lines[:len(lines)-1], lines[len(lines)-1]["export"].(map[string]any)
}

// fill stores people, agents and entries by which all filters can be told apart.
func (w *logWorld) fill(r *rand.Rand, n int) []audit.Entry {
	w.t.Helper()
	ctx := w.t.Context()
	for _, name := range []string{"ana", "bo"} {
		w.must(w.db.AddAccount(ctx, account.Account{ID: "id-of-" + name, Name: name}))
	}
	for id, name := range map[string]string{"c1": "Notebook", "c2": "notepad", "c3": "Übersetzer"} {
		w.must(w.db.AddClient(ctx, client.Client{ID: id, Name: name, Origin: client.Registered, AuthMethod: oauth.AuthNone}))
	}
	pick := func(list ...string) string { return list[r.IntN(len(list))] }
	begin := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC).UnixMilli()
	var all []audit.Entry
	for i := range n {
		e := audit.Entry{
			ID: fmt.Sprintf("entry-%08d", i), Time: begin + int64(r.IntN(60))*60_000, Reason: pick("", "because"),
			Kind:      audit.Kind(pick("call", "call", "call", "sign-in", "consent", "token", "exchange", "registration", "revocation")),
			Outcome:   audit.Outcome(pick("done", "done", "denied", "failed", "started")),
			AccountID: pick("", "id-of-ana", "id-of-bo", "gone"), ClientID: pick("", "c1", "c2", "c3", "swept"), GrantID: pick("", "g1", "g2"),
			API: pick("", "customers", "orders"), Tool: pick("", "fetch-users", "refund-order"), RequestID: pick("", "R1", "R2"),
			Detail: map[string]string{"scope": "users:read"},
		}
		w.must(w.db.Append(ctx, e))
		all = append(all, e)
	}
	slices.Reverse(all)
	slices.SortStableFunc(all, func(a, b audit.Entry) int { return int(b.Time - a.Time) })
	return all
}

// Each filter and any combination shows, page by page, and exports exactly what
// a person would pick who reads every entry.
func TestLogFiltersAndExport(t *testing.T) {
	onLogs(t, func(w *logWorld) {
		r := rand.New(rand.NewPCG(3, 5))
		all := w.fill(r, 400)
		ids := map[string][]string{ // what the words for parties stand for
			"ana": {"id-of-ana"}, "id-of-bo": {"id-of-bo"}, "ANA": {"id-of-ana"}, "gone": {"gone"},
			"Note": {"c1", "c2"}, "notep": {"c2"}, "c3": {"c3"}, "Über": {"c3"}, "swept": {"swept"},
		}
		values := map[string][]string{
			"person": {"ana", "id-of-bo", "ANA", "gone"}, "agent": {"Note", "notep", "c3", "Über", "swept"}, "api": {"customers"}, "tool": {"refund-order"},
			"kind": {"call", "consent", "exchange", "sign-in"}, "outcome": {"done", "denied", "failed", "started"}, "request": {"R2"}, "grant": {"g1"},
			"from": {"2026-03-01T12:20"}, "to": {"2026-03-01T12:40", "2026-03-01"},
		}
		fits := func(q url.Values, e audit.Entry) bool {
			for name := range q {
				want := q.Get(name)
				switch have := (map[string]string{"api": e.API, "tool": e.Tool, "kind": string(e.Kind), "outcome": string(e.Outcome), "request": e.RequestID, "grant": e.GrantID}); name {
				case "person":
					if !slices.Contains(ids[want], e.AccountID) {
						return false
					}
				case "agent":
					if !slices.Contains(ids[want], e.ClientID) {
						return false
					}
				case "from":
					if time.UnixMilli(e.Time).UTC().Format("2006-01-02T15:04") < want {
						return false
					}
				case "to":
					if at := time.UnixMilli(e.Time).UTC().Format("2006-01-02T15:04"); at >= want && want > "2026-03-01T" && want < "2026-03-02" {
						return false
					}
				default:
					if have[name] != want {
						return false
					}
				}
			}
			return true
		}
		names := slices.Sorted(maps.Keys(values))
		for round := range 60 {
			q := url.Values{}
			for i, name := range names {
				if round == i || round >= len(names) && r.IntN(4) == 0 {
					q.Set(name, values[name][r.IntN(len(values[name]))])
				}
			}
			if q.Get("to") == "" { // exports are recorded, and would be in the list
				q.Set("to", "2026-03-02")
			}
			var want []string
			for _, e := range all {
				if fits(q, e) {
					want = append(want, e.ID)
				}
			}
			if diff := cmp.Diff(want, w.list(q)); diff != "" {
				w.t.Fatalf("list of %v:\n%s", q, diff)
			}
			lines, last := w.exportOf(q)
			var got []string
			for _, line := range lines {
				got = append(got, line["id"].(string))
			}
			if diff := cmp.Diff(want, got); diff != "" || last["complete"] != true || int(last["entries"].(float64)) != len(want) {
				w.t.Fatalf("export of %v ends with %v:\n%s", q, last, diff)
			}
		}
		lines, _ := w.exportOf(url.Values{"person": {"ana"}, "agent": {"c1"}, "to": {"2026-03-02"}})
		if len(lines) == 0 || lines[0]["account_name"] != "ana" || lines[0]["client_name"] != "Notebook" {
			w.t.Errorf("an exported entry: %v", lines)
		}
		if text := w.text("/admin/audit?kind=admin"); !strings.Contains(text, "audit exported from the console") {
			w.t.Errorf("the exports are not recorded:\n%s", text)
		}
	})
}

// What means nothing is said, and is neither everything nor a failure.
func TestLogSaysWhatItCannotFilter(t *testing.T) {
	onLogs(t, func(w *logWorld) {
		for i := range audit.MaxClients + 1 {
			w.must(w.db.AddClient(w.t.Context(), client.Client{ID: fmt.Sprint("many", i), Name: fmt.Sprint("Copy ", i)}))
		}
		for q, says := range map[string]string{
			"agent=Copy": "More than 8 agents", "from=yesterday": "is no time", "to=x": "is no time",
			"person=a&person=b": "cannot be read", "tool=%00": "cannot be read", "tool=%ff": "cannot be read", "agent=" + strings.Repeat("x", 3000): "too long",
		} {
			for _, path := range []string{"/admin/audit?", "/admin/audit.jsonl?"} {
				answer := w.get(path + q)
				if answer.Code != http.StatusBadRequest || !strings.Contains(answer.Body.String(), says) {
					w.t.Errorf("%s%s: %d\n%s", path, q, answer.Code, answer.Body)
				}
			}
		}
		if text := w.text("/admin/audit?before=nonsense"); !strings.Contains(text, "Nothing older is recorded") {
			w.t.Errorf("no place at all:\n%s", text)
		}
		if answer := w.get("/admin/audit/nothing"); answer.Code != http.StatusNotFound {
			w.t.Errorf("an entry that is not there: %d", answer.Code)
		}
	})
}

// A search for what is rare looks at so many entries, says so, and goes on.
func TestLogSaysWhereASearchStopped(t *testing.T) {
	onLogs(t, func(w *logWorld) {
		var list []audit.Entry
		for i := range audit.Examined + 10 {
			e := audit.Entry{ID: fmt.Sprintf("entry-%08d", i), Time: 1_700_000_000_000 + int64(i), Kind: audit.Call, Outcome: audit.Done, Tool: "fetch-users"}
			if i == 3 {
				e.Tool = "refund-order"
			}
			list = append(list, e)
		}
		w.must(w.db.Receive(w.t.Context(), list))
		text := w.text("/admin/audit?tool=refund-order")
		if !strings.Contains(text, fmt.Sprintf("Nothing of this is in the %d entries that were looked at", audit.Examined)) || !strings.Contains(text, "Search further back") {
			w.t.Errorf("the first page:\n%s", text)
		}
		if got := w.list(url.Values{"tool": {"refund-order"}}); len(got) != 1 || got[0] != list[3].ID {
			w.t.Errorf("further back there is %v", got)
		}
	})
}

// delegate records what comes before a call, the call, and what follows.
func (w *logWorld) delegate() (ids map[string]string) {
	w.t.Helper()
	ctx := w.t.Context()
	now := time.Now()
	w.must(w.db.AddAccount(ctx, account.Account{ID: "id-of-ana", Name: "ana"}))
	w.must(w.db.AddClient(ctx, client.Client{ID: "notebook", Name: "Notebook", Origin: client.Registered, AuthMethod: oauth.AuthNone}))
	w.must(w.db.AddClient(ctx, client.Client{ID: "gw", Name: "MCP gateway", Origin: client.Gateway}))
	w.must(w.db.Issue(ctx, grant.Grant{ID: "grant", ClientID: "notebook", AccountID: "", Resource: "https://mcp.example/", Scopes: []string{"users:read"}, CreatedAt: now.Unix(), ExpiresAt: now.Unix() + 3600},
		grant.Token{Hash: "t", Scopes: []string{"users:read"}, ExpiresAt: now.Unix() + 60}, now))
	ids = map[string]string{}
	for i, e := range []audit.Entry{
		{Reason: "sign-in", Kind: audit.SignIn, AccountID: "id-of-ana", ClientID: "notebook"},
		{Reason: "consent", Kind: audit.Consent, AccountID: "id-of-ana", ClientID: "notebook", Detail: map[string]string{"scope": "users:read orders:read"}},
		{Reason: "token", Kind: audit.TokenIssued, AccountID: "id-of-ana", ClientID: "notebook", GrantID: "grant", Detail: map[string]string{"scope": "users:read"}},
		{Reason: "exchange", Kind: audit.Exchange, AccountID: "id-of-ana", ClientID: "notebook", GrantID: "grant", API: "customers", Detail: map[string]string{"gateway": "gw", "scope": "users:read", "jti": "jti-of-it"}},
		{Reason: "call", Kind: audit.Call, AccountID: "id-of-ana", ClientID: "notebook", GrantID: "grant", API: "customers", Tool: "fetch-users", RequestID: "REQUEST", Detail: map[string]string{"arguments": "limit", "status": "200"}},
		{Reason: "beside", Kind: audit.Call, AccountID: "id-of-ana", ClientID: "notebook", GrantID: "grant", API: "customers", Tool: "refund-order", RequestID: "REQUEST", Outcome: audit.Denied},
		{Reason: "ended", Kind: audit.Revocation, AccountID: "id-of-ana", ClientID: "notebook", GrantID: "grant"},
		{Reason: "paused", Kind: audit.Admin, ClientID: "notebook", Detail: map[string]string{"by": "id-of-root"}},
		{Reason: "of others", Kind: audit.Admin, ClientID: "gw", Detail: map[string]string{"by": "id-of-root"}},
	} {
		e.ID, e.Time = fmt.Sprintf("entry-%d", i), now.UnixMilli()+int64(i)
		if e.Outcome == "" {
			e.Outcome = audit.Done
		}
		ids[e.Reason] = e.ID
		e.Reason = "told: " + e.Reason
		w.must(w.db.Append(ctx, e))
	}
	return ids
}

// The page of a call shows the whole chain: who signed in, what they allowed
// whom, the tokens, the gateway, the API and its tool, and what followed.
func TestEntryShowsTheWholeChain(t *testing.T) {
	onLogs(t, func(w *logWorld) {
		ids := w.delegate()
		body := w.get("/admin/audit/" + ids["call"]).Body.String()
		for _, of := range []string{"sign-in", "consent", "token", "exchange", "beside", "ended", "paused"} {
			if !strings.Contains(body, `"/admin/audit/`+ids[of]+`"`) {
				w.t.Errorf("the call's page has no link to %s", of)
			}
		}
		if strings.Contains(body, ids["of others"]) {
			w.t.Error("it shows what was done to others")
		}
		text := w.text("/admin/audit/" + ids["call"])
		for _, says := range []string{
			"Call of fetch-users : done", "ana signed in", "ana allowed Notebook to act", "orders:read", "Notebook got a token", "MCP gateway exchanged it for a token for customers alone",
			"Notebook called fetch-users for ana", "REQUEST", "HTTP status of the API 200", "The connection it belongs to It began",
		} {
			if !strings.Contains(text, says) {
				w.t.Errorf("the call's page does not say %q:\n%s", says, text)
			}
		}
		for _, link := range []string{`/admin/people/id-of-ana`, `/admin/agents/notebook`, `/admin/apis/customers/tools/fetch-users`, `/admin/stop/grant/grant`, `/admin/audit?grant=grant`} {
			if !strings.Contains(body, `"`+link+`"`) {
				w.t.Errorf("the call's page has no link to %s", link)
			}
		}
		if text := w.text("/admin/audit/" + ids["paused"]); !strings.Contains(text, "Done by root") {
			w.t.Errorf("the act's page does not say who did it:\n%s", text)
		}
		for name, id := range ids { // of whatever kind
			if text := w.text("/admin/audit/" + id); !strings.Contains(text, "told: "+name) {
				w.t.Errorf("page of %s:\n%s", name, text)
			}
		}
	})
}

// One box finds agents and people by how their names begin, tools by a part of
// theirs, and what is named by its exact ID.
func TestSearch(t *testing.T) {
	onLogs(t, func(w *logWorld) {
		ids := w.delegate()
		for i := range 9 {
			w.must(w.db.AddClient(w.t.Context(), client.Client{ID: fmt.Sprint("many", i), Name: fmt.Sprint("Copy of 100% ", i)}))
		}
		for q, want := range map[string]string{
			"noteb": `"/admin/agents/notebook"`, "NOTEBOOK": `"/admin/agents/notebook"`, "notebook": `"/admin/agents/notebook"`, "An": `"/admin/people/id-of-ana"`, "id-of-ana": `"/admin/people/id-of-ana"`,
			"users": `"/admin/apis/customers/tools/fetch-users"`, "customer api": `"/admin/apis/customers/tools/refund-order"`,
			"REQUEST": `"/admin/audit/` + ids["beside"] + `"`, ids["token"]: `"/admin/audit/` + ids["token"] + `"`, "grant": `"/admin/stop/grant/grant"`, "Copy": `"/admin/agents?q=Copy"`,
		} {
			answer := w.get("/admin/search?q=" + url.QueryEscape(q))
			if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), want) {
				w.t.Errorf("search for %q does not show %s: %d\n%s", q, want, answer.Code, answer.Body)
			}
		}
		for _, q := range []string{"otebook", "n_tebook", "%", "' OR 1=1 --", "<script>", "\U0010ffff", "request"} {
			if text := w.text("/admin/search?q=" + url.QueryEscape(q)); !strings.Contains(text, "No agent and no person") {
				w.t.Errorf("search for %q finds:\n%s", q, text)
			}
		}
		w.text("/admin/search?q=" + strings.Repeat("x", 2000))
		w.text("/admin/search")
	})
}

// Whatever stands in an entry, from an agent, a person or a gateway, is text on
// every page and stays on its line in an export (stored injection).
func TestLogShowsHostileTextAsText(t *testing.T) {
	onLogs(t, func(w *logWorld) {
		ctx := w.t.Context()
		const hostile = "\"><script>alert(1)</script>{{.}}'&\u202e\n{\"id\":\"forged\"}"
		w.must(w.db.AddClient(ctx, client.Client{ID: hostile, Name: hostile}))
		w.must(w.db.AddAccount(ctx, account.Account{ID: hostile, Name: hostile}))
		e := audit.Entry{
			ID: "hostile", Time: time.Now().UnixMilli(), Kind: hostile, Outcome: hostile, AccountID: hostile, ClientID: hostile, GrantID: hostile,
			API: hostile, Tool: hostile, Reason: hostile, RequestID: hostile, Detail: map[string]string{"by": hostile, "gateway": hostile, hostile: hostile, "scope": hostile},
		}
		w.must(w.db.Append(ctx, e))
		q := url.Values{"person": {hostile}, "agent": {hostile}, "api": {hostile}, "tool": {hostile}, "kind": {hostile}, "outcome": {hostile}, "request": {hostile}, "grant": {hostile}}
		for _, path := range []string{"/admin/audit", "/admin/audit/hostile", "/admin/audit?" + q.Encode(), "/admin/search?q=" + url.QueryEscape(hostile)} {
			answer := w.get(path)
			if body := answer.Body.String(); answer.Code != http.StatusOK || strings.Contains(body, "<script>") || !strings.Contains(body, "&lt;script&gt;") {
				w.t.Errorf("%s: %d\n%s", path, answer.Code, body)
			}
		}
		if got := w.list(q); !slices.Equal(got, []string{"hostile"}) {
			w.t.Errorf("by its own words %v is found", got)
		}
		lines, _ := w.exportOf(q)
		if len(lines) != 1 || lines[0]["id"] != "hostile" || lines[0]["tool"] != hostile {
			w.t.Errorf("exported as %v", lines)
		}
	})
}

// An auditor reads and exports everything; who has no role gets nothing.
func TestLogIsForRoles(t *testing.T) {
	onLogs(t, func(w *logWorld) {
		ids := w.delegate()
		paths := []string{"/admin/audit", "/admin/audit.jsonl", "/admin/audit/" + ids["call"], "/admin/search?q=ana"}
		w.signIn("auditor", account.Auditor)
		for _, path := range paths {
			if answer := w.get(path); answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), "ana") {
				w.t.Errorf("an auditor at %s: %d", path, answer.Code)
			}
		}
		w.signIn("nobody", account.NoRole)
		for _, path := range paths {
			if answer := w.get(path); answer.Code != http.StatusForbidden || strings.Contains(answer.Body.String(), "notebook") {
				w.t.Errorf("somebody without a role at %s: %d\n%s", path, answer.Code, answer.Body)
			}
		}
		w.cookie = ""
		for _, path := range paths {
			if answer := w.get(path); answer.Code != http.StatusSeeOther {
				w.t.Errorf("nobody at %s: %d", path, answer.Code)
			}
		}
	})
}
