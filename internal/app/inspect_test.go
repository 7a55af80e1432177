package app_test

import (
	"cmp"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"pgregory.net/rapid"

	"gatehouse/internal/inspect"
	"gatehouse/internal/shell"
	"gatehouse/internal/sqlstore"
	"gatehouse/internal/webtest"
	"gatehouse/mcpclient"
)

// person opens the own page of somebody.
func (d *demo) person(name string) *webtest.Browser {
	d.t.Helper()
	b := webtest.NewBrowser(d.t, d.Network.DialContext)
	b.Get(login+"/account").Follow().Submit("username="+name, nil).Follow()
	return b
}

// newestFlow is the path of the newest flow that a person sees; "" if none.
func newestFlow(b *webtest.Browser) string {
	list := b.Get(login + "/account/messages").Body
	at := strings.Index(list, "/account/messages/")
	if at < 0 {
		return ""
	}
	path, _, _ := strings.Cut(list[at:], `"`)
	return path
}

// A person sees what passed for their agent, in order, with the rule behind a
// refusal, the token beside the one it came from, and as one file.
func TestInspectorShowsAFlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDemo(t)
		token := d.connect("alice")
		d.regions(token)
		d.rpc(token, "tools/call", `{"name":"delete-user","arguments":{"id":1}}`)
		synctest.Wait()
		b := d.person("alice")
		path := newestFlow(b)
		text := b.Get(login + path).Text()
		at := 0
		for _, want := range []string{
			"1. MCP POST / 401", "Refused. No access token", "RFC 6750 §3.1 · R-RS-3",
			"2. Where to sign in GET /.well-known/oauth-protected-resource 200",
			"3. What the authorization server can do", "4. Registration POST /register 201",
			"5. Authorization request GET /authorize 303", "6. Sign-in page", "7. Sign-in POST /login 303", "never recorded",
			"8. Consent page", "9. The person decides POST /consent 303", "allow", "10. Authorization response", "iss",
			"11. Token request POST /token 200", "authorization_code", "code_verifier", "there, and not kept",
			"12. MCP POST / 200", "tools/call fetch-users", "limit", "13. What is this token worth? POST /introspect 200",
			"14. Token exchange POST /token 200", "RFC 8693 §2.1", "The token, beside the one it came from", "Audience differs", mcp, api, "Scope differs", "orders:read", "gateway added",
			"at+jwt", "15. Call of the API GET /users 200", "16. MCP POST / 403", "R-RS-11", "insufficient_scope",
			"17. Token exchange POST /token 400", "exchange only narrows",
		} {
			next := strings.Index(text[at:], want)
			if next < 0 {
				t.Fatalf("%q is not there, or out of order, after %q", want, text[max(0, at-80):min(len(text), at+300)])
			}
			at += next
		}
		export := b.Get(login + path + "/export")
		if h := export.Header; !strings.HasPrefix(h.Get("Content-Disposition"), "attachment") || !strings.Contains(export.Body, "Call of the API") || strings.Contains(export.Body, "<script") {
			t.Errorf("export: %v", h)
		}
	})
}

// security.md 22: nobody sees the messages of somebody else, nor without
// signing in.
func TestInspectorShowsPeopleTheirOwnOnly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDemo(t)
		d.regions(d.connect("alice"))
		synctest.Wait()
		path := newestFlow(d.person("alice"))
		bruno := d.person("bruno")
		if list := bruno.Get(login + "/account/messages"); newestFlow(bruno) != "" || !strings.Contains(list.Text(), "There are none") {
			t.Errorf("bruno sees %s", list.Text())
		}
		for _, address := range []string{path, path + "/export"} {
			if p := bruno.Get(login + address); p.Status != http.StatusNotFound || strings.Contains(p.Body, "/authorize") {
				t.Errorf("%s: bruno gets %d", address, p.Status)
			}
			if p := d.get(login + address); p.Status != http.StatusSeeOther || !strings.Contains(p.Header.Get("Location"), "/login?") {
				t.Errorf("%s: nobody gets %d", address, p.Status)
			}
		}
	})
}

// watcher reads messages as they are stored, each once.
type watcher struct {
	db   *sql.DB
	seen int64
}

func (d *demo) watch(t *testing.T) *watcher {
	t.Helper()
	db, err := sqlstore.OpenPlain(filepath.Join(d.Data, "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &watcher{db: db}
}

// next waits for the messages of one hostile flow, and returns all there is of
// them.
func (w *watcher) next(t testing.TB) string {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for n := 0; n < hostileCalls; {
		if err := w.db.QueryRow(`SELECT count(*) FROM messages WHERE seq > $1 AND kind = 'mcp'`, w.seen).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if time.Now().After(deadline) {
			t.Fatalf("%d messages of MCP are stored, want %d", n, hostileCalls)
		}
		time.Sleep(2 * time.Millisecond)
	}
	rows, err := w.db.Query(`SELECT seq, kind || ' ' || client_id || ' ' || grant_id || ' ' || account_id || ' ' || request || ' ' || peer || ' ' || detail
		FROM messages WHERE seq > $1 ORDER BY seq`, w.seen)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var all strings.Builder
	for rows.Next() {
		var row string
		if err := rows.Scan(&w.seen, &row); err != nil {
			t.Fatal(err)
		}
		all.WriteString("\n" + row)
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return all.String()
}

// madeHere is what this installation makes and nobody else may have: tokens,
// codes, secrets, and a JWT with its signature.
var madeHere = regexp.MustCompile(`gh[arcs]_[A-Za-z0-9_-]{20,}|eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{20,}`)

// security.md 22: whatever secret is planted in whatever field of whatever
// message, in none of what is stored, shown or exported can it be found.
func TestInspectorKeepsNoSecret(t *testing.T) {
	var d *demo
	var w *watcher
	flows := 0
	rapid.Check(t, func(rt *rapid.T) {
		if flows%30 == 0 { // an address may not sign in more often at once
			d, flows = newDemo(t), 0
			w = d.watch(t)
		}
		flows++
		p := planter{t: rt, seed: rapid.Uint64().Draw(rt, "seed")}
		d.hostileFlow(p.plant)
		p.check(w.next(t))
	})
	// And shown, as a word in the newest flow would be.
	d = newDemo(t)
	var planted []string
	d.hostileFlow(func(field string) string {
		planted = append(planted, "planted-"+field+"-0123456789abcdefghij")
		return planted[len(planted)-1]
	})
	d.watch(t).next(t)
	b := d.person("alice")
	path := newestFlow(b)
	for _, address := range []string{path, path + "/export", "/account/messages"} {
		page := b.Get(login + address).Body
		if !strings.Contains(page, "essages") {
			t.Fatalf("%s: %s", address, page)
		}
		for _, word := range append(planted, verifier) {
			// A name that an agent gives itself is public, and said to be its own word.
			if strings.Contains(page, word) && !strings.Contains(word, "client_name") {
				t.Errorf("%s shows %s", address, word)
			}
		}
		if found := madeHere.FindString(page); found != "" {
			t.Errorf("%s shows %s", address, found)
		}
	}
}

// planter makes secrets and looks for them.
type planter struct {
	t       *rapid.T
	seed    uint64
	planted []string
}

func (p *planter) plant(field string) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %s", p.seed, field))
	p.planted = append(p.planted, base64.RawURLEncoding.EncodeToString(sum[:]))
	return p.planted[len(p.planted)-1]
}

func (p *planter) check(text string) {
	if !strings.Contains(text, "token-request") || !strings.Contains(text, "api-call") {
		p.t.Fatalf("the store has no flow")
	}
	for _, word := range append(p.planted, verifier) {
		if strings.Contains(text, word) {
			p.t.Fatalf("the store has %s", word)
		}
	}
	if found := madeHere.FindString(text); found != "" {
		p.t.Fatalf("the store has %s", found)
	}
}

// hostileCalls is how many messages of MCP a hostile flow has.
const hostileCalls = 9

// hostileFlow is a flow with a secret in every field that a client, an agent, a
// person or a browser fills, and the same requests once more with nothing but
// secrets.
func (d *demo) hostileFlow(plant func(field string) string) {
	d.t.Helper()
	quote := func(s string) string { q, _ := json.Marshal(s); return string(q) }
	registered := d.do(http.MethodPost, login+"/register", "", "application/json", `{"client_name":`+quote(plant("client_name"))+`,"redirect_uris":["`+callback+`?x=`+plant("redirect_query")+`"],
		"token_endpoint_auth_method":"client_secret_post","scope":`+quote("users:read "+plant("registered_scope"))+`,"software_id":`+quote(plant("software_id"))+`,"contacts":[`+quote(plant("contact"))+`]}`)
	id, _ := registered.Body["client_id"].(string)
	secret, _ := registered.Body["client_secret"].(string)
	uris, _ := registered.Body["redirect_uris"].([]any)
	uri, _ := uris[0].(string)
	q := url.Values{
		"client_id": {id}, "response_type": {"code"}, "redirect_uri": {uri}, "state": {plant("state")}, "nonce": {plant("nonce")},
		"code_challenge": {challenge}, "code_challenge_method": {"S256"}, "scope": {"users:read orders:read " + plant("scope")}, "resource": {mcp},
		"login_hint": {plant("login_hint")}, plant("unknown_name"): {plant("unknown_value")},
	}
	b := webtest.NewBrowser(d.t, d.Network.DialContext)
	page := b.Get(login + "/authorize?" + q.Encode()).Follow()
	request := page.URL.Query().Get("request")
	consent := b.Post(login, login+"/login", url.Values{"request": {request}, "action": {"signin"}, "username": {"alice"}, "password": {plant("password")}, plant("login_name"): {plant("login_value")}}).Follow()
	agent := between(consent.Body, `name="agent" value="`, `"`)
	answer := b.Post(login, login+"/consent", url.Values{"request": {request}, "action": {"allow"}, "account": {"alice"}, "agent": {agent},
		"scope": {"users:read", plant("consent_scope")}, plant("consent_name"): {plant("consent_value")}}).Location().Query()
	form := func(changes ...string) string {
		f := url.Values{"grant_type": {"authorization_code"}, "client_id": {id}, "client_secret": {secret}, "code": {answer.Get("code")}, "code_verifier": {verifier}, "redirect_uri": {uri}}
		for i := 0; i < len(changes); i += 2 {
			f.Set(changes[i], changes[i+1])
		}
		return f.Encode()
	}
	token := func(body string) reply {
		return d.do(http.MethodPost, login+"/token", "", "application/x-www-form-urlencoded", body)
	}
	token(form("code_verifier", plant("verifier")+strings.Repeat("x", 43)))
	token(form("client_secret", plant("client_secret")))
	token(form("client_id", plant("client_id")))
	token(form("code", plant("code"), "redirect_uri", plant("redirect_uri"), "resource", plant("resource")))
	got := token(form("scope", plant("token_scope"), plant("token_name"), plant("token_value")))
	access, _ := got.Body["access_token"].(string)
	refresh, _ := got.Body["refresh_token"].(string)
	token(form("grant_type", "refresh_token", "refresh_token", plant("refresh_token")))
	token(form("grant_type", plant("grant_type")))
	token(form("grant_type", "refresh_token", "refresh_token", refresh, "scope", "users:read "+plant("refresh_scope")))
	token(url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:token-exchange"}, "client_id": {"x"}, "client_assertion_type": {"urn:ietf:params:oauth:client-assertion-type:jwt-bearer"},
		"client_assertion": {"eyJh." + plant("assertion") + ".x"}, "subject_token": {plant("subject_token")}, "audience": {plant("audience")}, "scope": {plant("exchange_scope")}}.Encode())
	call := func(token, body string) reply { return d.do(http.MethodPost, mcp, token, "application/json", body) }
	if r := call(access, `{"jsonrpc":"2.0","id":`+quote(plant("id"))+`,"method":"tools/call","params":{"name":"fetch-users","arguments":{"limit":1,"name":`+quote(plant("argument"))+`},"_meta":{`+quote(plant("meta_name"))+`:`+quote(plant("meta"))+`}}}`); r.Status != http.StatusOK {
		d.t.Fatalf("fetch-users: %d %s", r.Status, r.Text)
	}
	call(access, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-users","arguments":{`+quote(plant("argument_name"))+`:1}}}`)
	call(access, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"fetch-orders","arguments":{"id":`+quote(plant("path_argument"))+`}}}`)
	call(access, `{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":`+quote(plant("tool"))+`}}`)
	call(access, `{"jsonrpc":"2.0","id":1,"method":`+quote(plant("mcp_method"))+`}`)
	call(plant("bearer"), `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
	d.do("M"+plant("http_method"), mcp, access, "", "")
	d.do("M"+plant("http_method_of_metadata"), login+"/.well-known/oauth-authorization-server", "", "", "")
	d.do(http.MethodPost, mcp+"?access_token="+plant("query_token"), "", "application/json", "{}")
	d.get(login + "/authorize?" + url.Values{"client_id": {plant("other_client")}, "redirect_uri": {plant("other_redirect")}, "state": {plant("other_state")}, "prompt": {plant("prompt")}}.Encode())
	q.Set("code_challenge", plant("challenge"))
	q.Set("resource", "http://"+plant("resource_host"))
	d.get(login + "/authorize?" + q.Encode())
	for _, value := range []string{plant("revoked"), refresh} {
		d.do(http.MethodPost, login+"/revoke", "", "application/x-www-form-urlencoded", url.Values{"client_id": {id}, "client_secret": {secret}, "token": {value}, "token_type_hint": {plant("hint")}}.Encode())
	}
	call(access, `{"jsonrpc":"2.0","id":1,"method":"ping"}`)
}

// `gatehouse connect --trace` and the inspector show the same events: what the
// client sent and got, in the same order.
func TestTraceAndInspectorShowTheSame(t *testing.T) {
	d := newDemo(t)
	own := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		if strings.HasPrefix(address, "127.0.0.1:") { // where the client awaits the browser
			return (&net.Dialer{}).DialContext(ctx, network, address)
		}
		return d.Network.DialContext(ctx, network, address)
	}}
	t.Cleanup(own.CloseIdleConnections)
	var traced []string
	c := &mcpclient.Client{
		Name: "Trace", Transport: own, Open: shell.SignIn{Name: "alice", Transport: own}.Open,
		Trace: func(e mcpclient.Exchange) {
			switch {
			case !e.Done:
			case strings.HasPrefix(e.What, "authorization request"):
				traced = append(traced, "GET /authorize, in the browser")
			case strings.HasPrefix(e.What, "authorization response"):
				traced = append(traced, "the answer, from the browser")
			default:
				u, err := url.Parse(e.URL)
				if err != nil {
					t.Error(err)
					return
				}
				traced = append(traced, fmt.Sprintf("%s %s %d", e.Method, cmp.Or(u.Path, "/"), e.Status))
			}
		},
	}
	session, err := c.Connect(t.Context(), mcp)
	if err != nil {
		t.Fatal(err)
	}
	for _, tool := range []string{"fetch-users", "fetch-users", "fetch-orders"} {
		if _, err := session.Call(t.Context(), tool, map[string]any{"id": 1}); err != nil && tool == "fetch-orders" {
			t.Fatal(err)
		}
	}
	if err := session.Close(); err != nil {
		t.Fatal(err)
	}
	var seen []string
	deadline := time.Now().Add(10 * time.Second)
	for len(seen) < len(traced) && time.Now().Before(deadline) { // it is stored a moment later
		time.Sleep(20 * time.Millisecond)
		seen = d.clientLane(t)
	}
	if strings.Join(seen, "\n") != strings.Join(traced, "\n") || len(traced) < 10 {
		t.Errorf("the trace has\n%s\n\nthe inspector has\n%s", strings.Join(traced, "\n"), strings.Join(seen, "\n"))
	}
}

// clientLane is what the inspector has of a client, its browser's detour as the
// trace tells it.
func (d *demo) clientLane(t *testing.T) (lane []string) {
	t.Helper()
	db, err := sqlstore.OpenPlain(filepath.Join(d.Data, "gatehouse.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	rows, err := db.Query(`SELECT kind, detail FROM messages ORDER BY at, seq`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var kind, detail string
		var m inspect.Message
		if err := errors.Join(rows.Scan(&kind, &detail), json.Unmarshal([]byte(detail), &m)); err != nil {
			t.Fatal(err)
		}
		switch inspect.Kind(kind) {
		case inspect.AuthorizationRequest:
			lane = append(lane, m.Method+" "+m.Path+", in the browser")
		case inspect.AuthorizationResponse:
			lane = append(lane, "the answer, from the browser")
		case inspect.ResourceMetadata, inspect.ServerMetadata, inspect.Registration, inspect.TokenRequest, inspect.MCP, inspect.Revocation:
			lane = append(lane, fmt.Sprintf("%s %s %d", m.Method, m.Path, m.Status))
		}
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	return lane
}
