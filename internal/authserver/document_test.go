package authserver_test

import (
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/authserver"
	"gatehouse/internal/client"
	"gatehouse/internal/egress"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/webtest"
)

const publisher = "app.example.test"

// publication is an https server that publishes a client's metadata document,
// at an address that the authorization server's list allows.
type publication struct {
	Host, ID string // publisher with its port, and the client_id

	mu      sync.Mutex
	status  int
	members map[string]string // JSON by name
	keys    string
	asked   int
	fetcher egress.Client
}

func publish(t *testing.T) *publication {
	t.Helper()
	p := &publication{status: http.StatusOK}
	authority := webtest.NewAuthority(t)
	port := authority.Serve(t, p, publisher)
	p.Host = publisher + ":" + port
	p.ID = "https://" + p.Host + "/client.json"
	p.members = map[string]string{
		"client_id": `"` + p.ID + `"`, "client_name": `"Notebook"`, "grant_types": `["authorization_code","refresh_token"]`,
		"redirect_uris": `["` + callback + `","https://` + p.Host + `/cb","https://elsewhere.example/cb"]`,
	}
	allowed, err := egress.ParseException(p.Host)
	if err != nil {
		t.Fatal(err)
	}
	p.fetcher.Allowed, p.fetcher.Roots = []egress.Exception{allowed}, authority.Roots
	p.fetcher.Resolver = webtest.NewResolver(func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} })
	return p
}

func (p *publication) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(p.status)
	if r.URL.Path == "/jwks.json" {
		fmt.Fprint(w, p.keys)
		return
	}
	var members []string
	for name, value := range p.members {
		members = append(members, `"`+name+`":`+value)
	}
	fmt.Fprintf(w, "{%s}", strings.Join(members, ","))
}

// change sets members of the document, or its status.
func (p *publication) change(status int, members ...string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.status = status
	for i := 0; i+1 < len(members); i += 2 {
		p.members[members[i]] = members[i+1]
	}
}

func (p *publication) fetches() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// world is a server that has fetched nothing yet, over the database at dsn.
func (p *publication) world(t *testing.T, dsn string) *world {
	t.Helper()
	return newWorld(t, options{dsn: dsn, change: func(s *authserver.Server) {
		s.Egress = &egress.Client{Allowed: p.fetcher.Allowed, Roots: p.fetcher.Roots, Resolver: p.fetcher.Resolver}
	}})
}

func newDSN(t *testing.T) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "shared.db")
}

// R-AS-5, R-AS-7, R-AS-8, R-AS-9: from nothing but an address to a call's token.
func TestDocumentFlow(t *testing.T) {
	p := publish(t)
	w := p.world(t, "")
	meta := w.send(http.MethodGet, "/.well-known/oauth-authorization-server", "", "", nil)
	methods, _ := meta.Body["token_endpoint_auth_methods_supported"].([]any)
	if meta.Body["client_id_metadata_document_supported"] != true || !slices.Contains(methods, any("none")) || !slices.Contains(methods, any("private_key_jwt")) {
		t.Errorf("metadata: %v", meta.Body) // clients.md: Claude wants both, ChatGPT private_key_jwt
	}
	// clients.md: registered with one port, requested with another, by another name.
	address := request(p.ID, map[string]string{"redirect_uri": "http://127.0.0.1:49152/callback"})
	redeem := redemption(p.ID, w.code(address, "alice"))
	redeem.Set("redirect_uri", "http://127.0.0.1:49152/callback")
	first := w.form("/token", redeem)
	if first.Status != http.StatusOK {
		t.Fatalf("token: %v", first.Body)
	}
	again := w.form("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {p.ID}, "refresh_token": {first.str("refresh_token")}})
	if again.Status != http.StatusOK {
		t.Fatalf("refresh: %v", again.Body)
	}
	inside := w.form("/token", w.asGateway(exchange(again.str("access_token"), "users:read")))
	if inside.Status != http.StatusOK {
		t.Fatalf("exchange: %v", inside.Body)
	}
	var claims struct {
		Level int `json:"client_assurance_level"`
		Act   struct {
			Act struct {
				Sub string `json:"sub"`
			} `json:"act"`
		} `json:"act"`
	}
	if err := jose.Verify(inside.str("access_token"), w.Keys, jose.Expect{Type: "at+jwt", Issuer: issuer, Audience: "http://api.localhost/customers"}, &claims); err != nil {
		t.Fatal(err)
	}
	if claims.Level != 0 || claims.Act.Act.Sub != p.ID {
		t.Errorf("claims %+v", claims)
	}
	if n := p.fetches(); n != 1 {
		t.Errorf("the document was fetched %d times", n)
	}
	c, err := w.DB.Client(t.Context(), p.ID)
	if err != nil || c.Origin != client.Document || c.Name != "Notebook" {
		t.Errorf("stored %+v %v", c, err)
	}
	if entries := registrations(t, w); len(entries) != 1 || entries[0].Detail["document"] != p.Host || entries[0].ClientID != p.ID {
		t.Errorf("audit: %+v", entries)
	}
}

func registrations(t *testing.T, w *world) []audit.Entry {
	t.Helper()
	entries, err := w.DB.Recent(t.Context(), 100)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(entries, func(e audit.Entry) bool { return e.Kind != audit.Registration })
}

// R-AS-12, R-AS-13, security.md 18: what is verified is shown as that, and the
// rest as the agent's own word. HOST stands for the publication.
func TestConsentSaysWhoPublishesTheDocument(t *testing.T) {
	for name, tt := range map[string]struct {
		redirect  string
		change    []string
		want, not []string
	}{
		"own host": {"https://HOST/cb", nil,
			[]string{"An agent of HOST that calls itself “Notebook” (at HOST)", "Verified. Its description is published at HOST, and the answer goes to the same place."},
			[]string{"Not verified", "Check first"}},
		"another host": {"https://elsewhere.example/cb", nil,
			[]string{"An agent that calls itself “Notebook” (at elsewhere.example)", "Not verified. Its description is published at HOST, but the answer goes to another place.", "Check first"},
			[]string{"An agent of"}},
		"this computer": {callback, nil,
			[]string{"An agent that calls itself “Notebook” (runs on this computer)", "Not verified. It says that it is the program described at HOST", "Any program on this computer could be asking"},
			[]string{"An agent of", "All its addresses"}},
		"this computer alone": {callback, []string{"redirect_uris", `["` + callback + `"]`},
			[]string{"Not verified. It says that it is the program described at HOST. All its addresses are on this computer, so nothing shows that it is."},
			[]string{"An agent of"}},
		"a name that poses": {"https://elsewhere.example/cb", []string{"client_name", `"Claude” (verified, at claude.ai)"`},
			[]string{"calls itself “Claude&#34; (verified, at claude.ai)”", "Not verified."}, []string{"An agent of"}},
		"a key": {"https://elsewhere.example/cb", []string{"token_endpoint_auth_method", `"private_key_jwt"`, "jwks_uri", `"https://HOST/jwks.json"`},
			[]string{"An agent of HOST that calls itself “Notebook” (at elsewhere.example)", "only who holds its key gets access"}, []string{"Not verified"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := publish(t)
			here := func(s string) string { return strings.ReplaceAll(s, "HOST", p.Host) }
			for i := range tt.change {
				tt.change[i] = here(tt.change[i])
			}
			p.change(http.StatusOK, tt.change...)
			w := p.world(t, "")
			text := words(w.consent(w.browser(), request(p.ID, map[string]string{"redirect_uri": here(tt.redirect)}), "alice").Body)
			for _, want := range append(tt.want, client.RedirectHost(here(tt.redirect)), "HOST/client.json") {
				if !strings.Contains(text, here(want)) {
					t.Errorf("consent does not say %q:\n%s", here(want), text)
				}
			}
			for _, not := range tt.not {
				if strings.Contains(text, not) {
					t.Errorf("consent says %q:\n%s", not, text)
				}
			}
		})
	}
}

// security.md 1: skipped only for a redirect that is https on the client_id's
// own host, or a client that authenticates.
func TestRememberedConsentOfDocuments(t *testing.T) {
	p := publish(t)
	w := p.world(t, "")
	b := w.browser()
	own := map[string]string{"redirect_uri": "https://" + p.Host + "/cb"}
	w.consent(b, request(p.ID, own), "alice").Submit("action=allow", nil)
	if silent := b.Get(request(p.ID, own)); silent.Location().Query().Get("code") == "" {
		t.Errorf("own host: asked again at %s", silent.Location())
	}
	for _, redirect := range []string{callback, "https://elsewhere.example/cb"} {
		other := map[string]string{"redirect_uri": redirect}
		if page := b.Get(request(p.ID, other)).Follow(); !strings.Contains(page.Text(), "Continue") {
			t.Errorf("%s: no confirmation:\n%s", redirect, page.Text())
		}
		other["prompt"] = "none"
		if none := b.Get(request(p.ID, other)); none.Location().Query().Get("error") != "consent_required" {
			t.Errorf("%s: prompt=none leads to %s", redirect, none.Location())
		}
	}
}

// security.md 2 and 4: what was allowed was allowed to what the client was.
func TestChangedDocumentsNeedNewConsent(t *testing.T) {
	for name, tt := range map[string]struct {
		change []string
		asks   bool
	}{
		"nothing":        {nil, false},
		"its page":       {[]string{"client_uri", `"https://new.example"`}, false},
		"name":           {[]string{"client_name", `"Claude"`}, true},
		"redirects":      {[]string{"redirect_uris", `["https://HOST/cb","https://evil.example/cb"]`}, true},
		"authentication": {[]string{"token_endpoint_auth_method", `"private_key_jwt"`, "jwks_uri", `"https://HOST/jwks.json"`}, true},
	} {
		t.Run(name, func(t *testing.T) {
			p, dsn := publish(t), newDSN(t)
			own := map[string]string{"redirect_uri": "https://" + p.Host + "/cb"}
			before := p.world(t, dsn)
			before.consent(before.browser(), request(p.ID, own), "alice").Submit("action=allow", nil)
			for i := range tt.change {
				tt.change[i] = strings.ReplaceAll(tt.change[i], "HOST", p.Host)
			}
			p.change(http.StatusOK, tt.change...)
			after := p.world(t, dsn)
			b := after.browser()
			narrow := map[string]string{"redirect_uri": own["redirect_uri"], "scope": "users:read"}
			signedIn := b.Get(request(p.ID, narrow)).Follow().Submit("Sign in", url.Values{"username": {"alice"}})
			if !tt.asks {
				if signedIn.Location().Query().Get("code") == "" {
					t.Errorf("asked again: %s", signedIn.Location())
				}
				return
			}
			if signedIn.Location().Query().Has("code") {
				t.Fatal("not asked again")
			}
			page := signedIn.Follow()
			if !strings.Contains(page.Body, "checkbox") {
				t.Fatalf("not asked again: %s", page.Text())
			}
			// And what an earlier consent had given beyond this one has ended.
			if page.Submit("action=allow", nil).Location().Query().Get("code") == "" {
				t.Fatal("no code")
			}
			acc, err := after.DB.AccountByName(t.Context(), "alice")
			if err != nil {
				t.Fatal(err)
			}
			g, err := after.DB.Remembered(t.Context(), acc.ID, p.ID, resource, time.Now())
			if err != nil || oauth.FormatScope(g.Scopes) != "users:read" {
				t.Errorf("grant %+v %v", g, err)
			}
			if entries := registrations(t, after); len(entries) != 2 || entries[0].Reason == "" {
				t.Errorf("audit: %+v", entries)
			}
			if again := b.Get(request(p.ID, narrow)); again.Location().Query().Get("code") == "" {
				t.Error("the new consent is not remembered")
			}
		})
	}
}

// security.md 2, 4, 12, R-AS-18: a document that sends answers elsewhere, or
// whose client proves itself otherwise, ends what was allowed before, tokens
// that are out included, and tells the gateways. A name does not.
func TestChangedDocumentsEndWhatTheyWereAllowed(t *testing.T) {
	for name, tt := range map[string]struct {
		change []string
		ends   bool
	}{
		"name":           {[]string{"client_name", `"Claude"`}, false},
		"order":          {[]string{"redirect_uris", `["https://elsewhere.example/cb","` + callback + `","https://HOST/cb"]`}, false},
		"redirects":      {[]string{"redirect_uris", `["` + callback + `","https://evil.example/cb"]`}, true},
		"authentication": {[]string{"token_endpoint_auth_method", `"private_key_jwt"`, "jwks_uri", `"https://HOST/jwks.json"`}, true},
		"no document":    {nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			p, dsn := publish(t), newDSN(t)
			// Two replicas: one has seen the document before it changed, and goes on.
			old := p.world(t, dsn)
			first := old.form("/token", redemption(p.ID, old.code(request(p.ID, nil), "alice")))
			for i := range tt.change {
				tt.change[i] = strings.ReplaceAll(tt.change[i], "HOST", p.Host)
			}
			p.change(http.StatusOK, tt.change...)
			if tt.change == nil {
				p.change(http.StatusNotFound)
			}
			fresh := p.world(t, dsn)
			at := fresh.poll("", 0)
			fresh.browser().Get(request(p.ID, nil))
			if active := fresh.introspect(first.str("access_token")).Body["active"]; active == tt.ends {
				t.Fatalf("the token that is out: active %v", active)
			}
			news := fresh.poll(at.str("epoch"), number(at)).Body["events"].([]any)
			if !tt.ends {
				if len(news) != 0 {
					t.Errorf("events %v", news)
				}
				return
			}
			if len(news) != 1 || news[0].(map[string]any)["id"] != p.ID {
				t.Errorf("events %v", news)
			}
			if a := old.form("/token", refreshForm(p.ID, first.str("refresh_token"))); a.Status == http.StatusOK {
				t.Error("its refresh token works at the other replica")
			}
			if name != "redirects" {
				return
			}
			// The other replica does not take what it held for a change back.
			second := fresh.form("/token", redemption(p.ID, fresh.code(request(p.ID, nil), "alice")))
			old.browser().Get(request(p.ID, nil))
			if fresh.introspect(second.str("access_token")).Body["active"] != true {
				t.Error("a replica that held the old document ended what was allowed to the new one")
			}
		})
	}
}

// A change that another replica has seen, while the document cannot be had here:
// what it saw counts, and nothing ends.
func TestReplicaThatCannotLookAgain(t *testing.T) {
	p, dsn := publish(t), newDSN(t)
	old := p.world(t, dsn)
	old.browser().Get(request(p.ID, nil))
	p.change(http.StatusOK, "redirect_uris", `["`+callback+`"]`)
	fresh := p.world(t, dsn)
	token := fresh.form("/token", redemption(p.ID, fresh.code(request(p.ID, nil), "alice"))).str("access_token")
	p.change(http.StatusServiceUnavailable)
	elsewhere := old.browser().Get(request(p.ID, map[string]string{"redirect_uri": "https://elsewhere.example/cb"}))
	if elsewhere.Status != http.StatusBadRequest {
		t.Errorf("a redirect that was taken away: %d", elsewhere.Status)
	}
	if token == "" || fresh.introspect(token).Body["active"] != true {
		t.Error("what was allowed ended")
	}
}

// A decision is about what its page showed; another server may have seen a
// change meanwhile.
func TestDocumentChangesWhileConsentIsOpen(t *testing.T) {
	p, dsn := publish(t), newDSN(t)
	one, two := p.world(t, dsn), p.world(t, dsn)
	b := one.browser()
	page := one.consent(b, request(p.ID, nil), "alice")
	p.change(http.StatusOK, "client_name", `"Claude"`)
	two.browser().Get(request(p.ID, nil))
	answer := page.Submit("action=allow", nil)
	if answer.Status != http.StatusConflict || !strings.Contains(words(answer.Body), "“Claude”") {
		t.Fatalf("%d: %s", answer.Status, answer.Text())
	}
	if answer.Submit("action=allow", nil).Location().Query().Get("code") == "" {
		t.Error("agreeing to what it is now gives no code")
	}

	// If the answer could no longer go where the request said, nothing goes.
	page = one.consent(one.browser(), request(p.ID, nil), "bruno")
	p.change(http.StatusOK, "redirect_uris", `["https://elsewhere.example/cb"]`)
	p.world(t, dsn).browser().Get(request(p.ID, map[string]string{"redirect_uri": "https://elsewhere.example/cb"}))
	if answer := page.Submit("action=allow", nil); answer.Status != http.StatusBadRequest || answer.Header.Get("Location") != "" {
		t.Errorf("%d to %s", answer.Status, answer.Header.Get("Location"))
	}
}

// security.md 4: a withdrawn document is no client any more; one whose server
// fails is none for now, and its client is not told to start anew.
func TestTokensOfVanishedDocuments(t *testing.T) {
	for status, code := range map[int]string{404: "invalid_client", 410: "invalid_client", 302: "invalid_client", 503: "temporarily_unavailable"} {
		p, dsn := publish(t), newDSN(t)
		before := p.world(t, dsn)
		first := before.form("/token", redemption(p.ID, before.code(request(p.ID, nil), "alice")))
		refresh := url.Values{"grant_type": {"refresh_token"}, "client_id": {p.ID}, "refresh_token": {first.str("refresh_token")}}
		p.change(status)
		if a := p.world(t, dsn).form("/token", refresh); a.str("error") != code {
			t.Errorf("%d: %d %v", status, a.Status, a.Body)
		}
		p.change(http.StatusOK)
		if a := p.world(t, dsn).form("/token", refresh); a.Status != http.StatusOK {
			t.Errorf("%d, then it is back: %v", status, a.Body)
		}
	}
}

// private_key_jwt with jwks_uri, as ChatGPT publishes it (clients.md); section
// 8.2: then client authentication MUST be required.
func TestDocumentWithKeys(t *testing.T) {
	p := publish(t)
	key, signer := newKey(t)
	_, stranger := newKey(t)
	p.keys = string(jose.PublicSet(key))
	p.change(http.StatusOK, "token_endpoint_auth_method", `"private_key_jwt"`, "jwks_uri", `"https://`+p.Host+`/jwks.json"`)
	w := p.world(t, "")
	b := w.browser()
	w.consent(b, request(p.ID, nil), "alice").Submit("action=allow", nil)
	code := func() string { return b.Get(request(p.ID, nil)).Location().Query().Get("code") } // silent, as it authenticates
	with := func(s *jose.Signer) url.Values {
		assertion, err := jose.Assertion(s, p.ID, issuer, time.Now())
		if err != nil {
			t.Fatal(err)
		}
		form := redemption(p.ID, code())
		form.Set("client_assertion_type", oauth.AssertionJWTBearer)
		form.Set("client_assertion", assertion)
		return form
	}
	good := with(signer)
	if a := w.form("/token", good); a.Status != http.StatusOK {
		t.Errorf("its key: %v", a.Body)
	}
	if a := w.form("/token", good); a.str("error") != "invalid_client" {
		t.Errorf("an assertion twice: %v", a.Body)
	}
	if a := w.form("/token", with(stranger)); a.str("error") != "invalid_client" {
		t.Errorf("another key: %v", a.Body)
	}
	if a := w.form("/token", redemption(p.ID, code())); a.str("error") != "invalid_client" {
		t.Errorf("no key: %v", a.Body)
	}
	if n := p.fetches(); n != 2 {
		t.Errorf("%d fetches, want the document and the keys", n)
	}
}

// proving.md: jwks_uri SSRF. The document is public, its keys are said to be
// where only this server could look.
func TestKeysOfDocumentsAreFetchedFromPublicAddressesOnly(t *testing.T) {
	p := publish(t)
	_, signer := newKey(t)
	p.change(http.StatusOK, "token_endpoint_auth_method", `"private_key_jwt"`, "jwks_uri", `"https://intranet.example.test/jwks.json"`)
	w := p.world(t, "")
	form := redemption(p.ID, w.code(request(p.ID, nil), "alice"))
	assertion, err := jose.Assertion(signer, p.ID, issuer, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	form.Set("client_assertion_type", oauth.AssertionJWTBearer)
	form.Set("client_assertion", assertion)
	a := w.form("/token", form)
	if a.str("error") != "invalid_client" || strings.Contains(fmt.Sprint(a.Body), "127.0.0.1") {
		t.Errorf("%d %v", a.Status, a.Body)
	}
	if n := p.fetches(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// R-AS-11, R-AS-18: a client_id that leads to no client is told to the person,
// and nobody is redirected. What the network answered stays in the log.
func TestUnusableDocumentsAreShownToThePerson(t *testing.T) {
	p := publish(t)
	for name, tt := range map[string]struct {
		id     string
		change func()
		status int
	}{
		"look-alike host":   {"https://аpp.example.test/client.json", nil, 400},
		"private address":   {"https://192.168.0.1/client.json", nil, 400},
		"private name":      {"https://intranet.example.test/client.json", nil, 400},
		"another port":      {"https://" + publisher + ":22/client.json", nil, 400},
		"dots":              {"https://" + p.Host + "/a/../client.json", nil, 400},
		"very long":         {"https://" + p.Host + "/" + strings.Repeat("x", 4000), nil, 400},
		"another client_id": {p.ID + "?x", nil, 400},
		"server fails":      {p.ID, func() { p.change(500) }, 503},
		"redirect":          {p.ID, func() { p.change(302) }, 400},
		"gone":              {p.ID, func() { p.change(410) }, 400},
		"unlisted redirect": {p.ID, func() { p.change(200, "redirect_uris", `["https://other.example/"]`) }, 400},
	} {
		p.change(200)
		if tt.change != nil {
			tt.change()
		}
		w := p.world(t, "")
		page := w.browser().Get(request(tt.id, nil))
		if page.Status != tt.status || page.Header.Get("Location") != "" {
			t.Errorf("%s: %d to %q", name, page.Status, page.Header.Get("Location"))
		}
		if text := page.Text(); strings.Contains(text, "127.0.0.1") || strings.Contains(text, "dial") || strings.Contains(text, "410") {
			t.Errorf("%s tells too much: %s", name, text)
		}
	}
}

// A flood of client_ids from one address makes no flood of fetches.
func TestDocumentFlood(t *testing.T) {
	p := publish(t)
	p.change(http.StatusNotFound)
	w := p.world(t, "")
	limited := 0
	for i := range 60 {
		if page := w.browser().Get(request(fmt.Sprintf("%s?%d", p.ID, i), nil)); page.Status == http.StatusTooManyRequests {
			limited++
		}
	}
	if n := p.fetches(); n > 35 || limited < 25 {
		t.Errorf("%d fetches, %d refused", n, limited)
	}
}

// Only an authorization request brings a document here: the JSON endpoints
// fetch nothing for strangers.
func TestTokenRequestsOfUnknownDocumentsFetchNothing(t *testing.T) {
	p := publish(t)
	w := p.world(t, "")
	for _, path := range []string{"/token", "/revoke", "/introspect"} {
		if a := w.form(path, url.Values{"client_id": {p.ID}, "grant_type": {"refresh_token"}, "refresh_token": {"x"}, "token": {"x"}}); a.str("error") != "invalid_client" {
			t.Errorf("%s: %v", path, a.Body)
		}
	}
	if p.fetches() != 0 {
		t.Error("the document was fetched")
	}
}

// Turned off means off, for what is stored too.
func TestDocumentsTurnedOff(t *testing.T) {
	p, dsn := publish(t), newDSN(t)
	on := p.world(t, dsn)
	token := on.form("/token", redemption(p.ID, on.code(request(p.ID, nil), "alice")))
	off := newWorld(t, options{dsn: dsn})
	meta := off.send(http.MethodGet, "/.well-known/oauth-authorization-server", "", "", nil)
	if _, told := meta.Body["client_id_metadata_document_supported"]; told {
		t.Error("the metadata offers them")
	}
	if page := off.browser().Get(request(p.ID, nil)); page.Status != http.StatusBadRequest {
		t.Errorf("authorization request: %d", page.Status)
	}
	if a := off.form("/token", url.Values{"grant_type": {"refresh_token"}, "client_id": {p.ID}, "refresh_token": {token.str("refresh_token")}}); a.str("error") != "invalid_client" {
		t.Errorf("refresh: %v", a.Body)
	}
	if a := off.form("/token", off.asGateway(exchange(token.str("access_token"), "users:read"))); a.Status == http.StatusOK {
		t.Error("exchange goes on")
	}
}

// Section 7.2: an address that an administrator registered is not fetched.
func TestRegisteredAddressesAreNotFetched(t *testing.T) {
	p := publish(t)
	w := p.world(t, "")
	if err := w.DB.PutClient(t.Context(), client.Client{
		ID: p.ID, Origin: client.Administrated, Name: "Ledger", RedirectURIs: []string{callback}, GrantTypes: []string{oauth.GrantAuthorizationCode}, AuthMethod: oauth.AuthNone,
	}); err != nil {
		t.Fatal(err)
	}
	if a := w.form("/token", redemption(p.ID, w.code(request(p.ID, nil), "alice"))); a.Status != http.StatusOK {
		t.Errorf("token: %v", a.Body)
	}
	if p.fetches() != 0 {
		t.Error("the document was fetched")
	}
}
