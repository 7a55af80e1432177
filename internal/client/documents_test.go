package client_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/egress"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/webtest"
)

const publisher = "app.example.test"

// site publishes documents: what answers a path, and how often it was asked.
type site struct {
	base string
	*client.Documents

	mu     sync.Mutex
	answer http.HandlerFunc
	asked  int
}

// newSite starts an https server on loopback, whose name and port are on the
// list of exceptions, and the client that fetches from it.
func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{}
	authority := webtest.NewAuthority(t)
	port := authority.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		s.asked++
		answer := s.answer
		s.mu.Unlock()
		answer(w, r)
	}), publisher)
	s.base = "https://" + publisher + ":" + port
	e, err := egress.ParseException(publisher + ":" + port)
	if err != nil {
		t.Fatal(err)
	}
	s.Documents = &client.Documents{
		Egress: &egress.Client{
			Allowed: []egress.Exception{e}, Roots: authority.Roots,
			Resolver: webtest.NewResolver(func(string) []netip.Addr { return []netip.Addr{netip.MustParseAddr("127.0.0.1")} }),
		},
		Rules: client.Rules{GrantTypes: []string{oauth.GrantAuthorizationCode, oauth.GrantRefreshToken}},
	}
	return s
}

func (s *site) serve(h http.HandlerFunc) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = h
}

// document serves a document at every path, with header lines and extra members.
func (s *site) document(extra string, header ...string) {
	s.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for _, line := range header {
			key, value, _ := strings.Cut(line, ": ")
			w.Header().Set(key, value)
		}
		fmt.Fprint(w, s.text(r.URL.Path, extra))
	})
}

func (s *site) text(path, extra string) string {
	return `{"client_id":"` + s.base + path + `","client_name":"Notebook","redirect_uris":["http://localhost:3000/callback","https://` + publisher + `/cb"]` + extra + `}`
}

// fetches runs do and returns how often the site was asked by it.
func (s *site) fetches(do func()) int {
	s.mu.Lock()
	before := s.asked
	s.mu.Unlock()
	do()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked - before
}

func always() error { return nil }

func (s *site) get(t *testing.T) (client.Client, error) {
	t.Helper()
	return s.Client(t.Context(), s.base+"/c", always)
}

// want gets the client and reports how often that asked the site.
func (s *site) want(t *testing.T, what string, ok bool, fetches int) {
	t.Helper()
	var err error
	if n := s.fetches(func() { _, err = s.get(t) }); n != fetches || ok != (err == nil) {
		t.Errorf("%s: %d fetches, want %d; error %v", what, n, fetches, err)
	}
}

// R-AS-7, R-AS-8: what a document says is what the client is.
func TestDocument(t *testing.T) {
	s := newSite(t)
	s.document(`,"client_uri":"https://app.example.test","logo_uri":"https://app.example.test/l.png","grant_types":["authorization_code","refresh_token"],"response_types":["code"],"token_endpoint_auth_method":"none"`)
	c, err := s.get(t)
	if err != nil {
		t.Fatal(err)
	}
	if c.ID != s.base+"/c" || c.Origin != client.Document || c.Name != "Notebook" || c.Confidential() || !c.MayUse("refresh_token") || c.AssuranceLevel() != 0 {
		t.Errorf("%+v", c)
	}
	// R-AS-9, and R-AS-17 on loopback ports.
	for uri, allowed := range map[string]bool{
		"https://" + publisher + "/cb": true, "http://localhost:3000/callback": true, "http://127.0.0.1:49152/callback": true,
		"https://" + publisher + "/cb/": false, "https://evil.example/cb": false, "http://localhost:3000/other": false,
	} {
		if c.RedirectAllowed(uri) != allowed {
			t.Errorf("redirect to %s: %v", uri, !allowed)
		}
	}
}

// R-AS-8 and sections 4, 4.1, 5 and 8.7 of the draft: everything else is no
// document, which is told to who wrote it, and not fetched again at once.
func TestDocumentsThatAreRefused(t *testing.T) {
	s := newSite(t)
	public, private := jwks(t)
	for name, h := range map[string]http.HandlerFunc{
		"no JSON":                     s.says(`{`),
		"an array":                    s.says(`[]`),
		"something behind it":         s.says(s.text("/c", "") + "{}"),
		"no client_id":                s.says(`{"client_name":"N","redirect_uris":["https://a.example/"]}`),
		"client_id of another":        s.says(`{"client_id":"https://evil.example/c","client_name":"N","redirect_uris":["https://a.example/"]}`),
		"client_id with a slash more": s.says(s.text("/c/", "")),
		"client_id in other letters":  s.says(strings.Replace(s.text("/c", ""), "https", "HTTPS", 1)),
		"client_id of another type":   s.says(`{"client_id":["` + s.base + `/c"],"client_name":"N","redirect_uris":["https://a.example/"]}`),
		"client_id in another case":   s.says(strings.Replace(s.text("/c", ""), `"client_id"`, `"Client_ID"`, 1)),
		"client_id twice":             s.says(s.text("/c", `,"client_id":"https://evil.example/c"`)),
		"a member twice below":        s.says(s.text("/c", `,"jwks":{"keys":[],"keys":[]}`)),
		"too deep":                    s.says(s.text("/c", `,"x":`+strings.Repeat("[", 50)+strings.Repeat("]", 50))),
		"no client_name":              s.says(`{"client_id":"` + s.base + `/c","redirect_uris":["https://a.example/"]}`),
		"an invisible client_name":    s.says(strings.Replace(s.text("/c", ""), "Notebook", "\u202e\u200b", 1)),
		"no redirect_uris":            s.says(`{"client_id":"` + s.base + `/c","client_name":"N"}`),
		"no usable redirect_uris":     s.says(`{"client_id":"` + s.base + `/c","client_name":"N","redirect_uris":["javascript:alert(1)","http://evil.example/"]}`),
		"client_secret":               s.says(s.text("/c", `,"client_secret":"s"`)),
		"client_secret_expires_at":    s.says(s.text("/c", `,"client_secret_expires_at":0`)),
		"client_secret_basic":         s.says(s.text("/c", `,"token_endpoint_auth_method":"client_secret_basic"`)),
		"client_secret_post":          s.says(s.text("/c", `,"token_endpoint_auth_method":"client_secret_post"`)),
		"client_secret_jwt":           s.says(s.text("/c", `,"token_endpoint_auth_method":"client_secret_jwt"`)),
		"unknown authentication":      s.says(s.text("/c", `,"token_endpoint_auth_method":"tls_client_auth"`)),
		"private_key_jwt, no keys":    s.says(s.text("/c", `,"token_endpoint_auth_method":"private_key_jwt"`)),
		"a private key":               s.says(s.text("/c", `,"token_endpoint_auth_method":"private_key_jwt","jwks":`+private)),
		"keys in two places":          s.says(s.text("/c", `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/k","jwks":`+public)),
		"jwks_uri to the cloud":       s.says(s.text("/c", `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://169.254.169.254/k"`)),
		"jwks_uri in plain":           s.says(s.text("/c", `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"http://a.example/k"`)),
		"jwks_uri to a file":          s.says(s.text("/c", `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"file:///etc/passwd"`)),
		"only another grant":          s.says(s.text("/c", `,"grant_types":["client_credentials"]`)),
		"only refresh":                s.says(s.text("/c", `,"grant_types":["refresh_token"]`)),
		"web with loopback":           s.says(s.text("/c", `,"application_type":"web"`)),
		"client_uri that is a script": s.says(s.text("/c", `,"client_uri":"javascript:alert(1)"`)),
		"larger than 5 KB":            s.says(s.text("/c", `,"x":"`+strings.Repeat("x", 5<<10)+`"`)),
		"text/html":                   s.as("text/html"), "text/plain": s.as("text/plain"), "no type": s.as(""), "text/json": s.as("text/json"),
		"application/jsonx": s.as("application/jsonx"), "json as an image": s.as("image/svg+json"),
		"compressed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			fmt.Fprint(z, s.text("/c", ""), strings.Repeat(" ", 1<<20))
			_ = z.Close()
			_, _ = w.Write(b.Bytes())
		},
		"201": s.status(201), "204": s.status(204), "206": s.status(206), "301": s.status(301), "302": s.status(302), "304 unasked": s.status(304), "307": s.status(307),
		"400": s.status(400), "401": s.status(401), "403": s.status(403), "404": s.status(404), "410": s.status(410),
	} {
		s.Documents.Age(time.Hour)
		s.serve(h)
		_, err := s.get(t)
		e, ok := errors.AsType[*client.DocumentError](err)
		if !ok || e.Temporary || e.Reason == "" || strings.Contains(e.Reason, "127.0.0.1") {
			t.Errorf("%s: %v", name, err)
		}
		s.want(t, name+", once more", false, 0) // a failure is remembered for ten seconds
	}
	s.Documents.Age(11 * time.Second)
	s.document("")
	s.want(t, "after ten seconds", true, 1)
}

func (s *site) says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprint(w, text)
	}
}

func (s *site) as(contentType string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header()["Content-Type"] = nil
		if contentType != "" {
			w.Header().Set("Content-Type", contentType)
		}
		fmt.Fprint(w, s.text("/c", ""))
	}
}

func (s *site) status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(code)
		if code != http.StatusNoContent && code != http.StatusNotModified {
			fmt.Fprint(w, s.text("/c", ""))
		}
	}
}

// What real clients publish is taken.
func TestDocumentsThatAreAccepted(t *testing.T) {
	s := newSite(t)
	public, _ := jwks(t)
	for name, h := range map[string]http.HandlerFunc{
		"with a charset":           s.as("application/json; charset=utf-8"),
		"a type of its own":        s.as("application/oauth-client-id-metadata+json"),
		"members nobody knows":     s.says(s.text("/c", `,"x":{"y":[1]},"software_statement":"z"`)),
		"schemes of other servers": s.says(strings.Replace(s.text("/c", ""), `"redirect_uris":[`, `"redirect_uris":["cursor://x/cb",`, 1)),
		"keys":                     s.says(s.text("/c", `,"token_endpoint_auth_method":"private_key_jwt","jwks":`+public)),
		"keys elsewhere":           s.says(s.text("/c", `,"token_endpoint_auth_method":"private_key_jwt","jwks_uri":"https://a.example/k"`)),
		"whole lists":              s.says(s.text("/c", `,"grant_types":["authorization_code","refresh_token","urn:x"],"response_types":["code","token"]`)),
	} {
		s.Documents.Age(time.Hour)
		s.serve(h)
		c, err := s.get(t)
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if c.RedirectAllowed("cursor://x/cb") {
			t.Errorf("%s: an answer may go to another scheme", name)
		}
	}
}

// jwks returns a key set, and one with its private half.
func jwks(t *testing.T) (public, private string) {
	t.Helper()
	key, err := jose.Generate("ES256")
	if err != nil {
		t.Fatal(err)
	}
	public = string(jose.PublicSet(key))
	return public, strings.Replace(public, `"kty"`, `"d":"AAAA","kty"`, 1)
}

// R-AS-10: cached as headers say, between a minute and an hour, and asked for
// conditionally after that.
func TestDocumentsAreCachedByTheirHeaders(t *testing.T) {
	for name, tt := range map[string]struct {
		header string
		fresh  time.Duration
	}{
		"nothing said":   {"", 5 * time.Minute},
		"ten minutes":    {"Cache-Control: max-age=600", 10 * time.Minute},
		"nothing at all": {"Cache-Control: no-store", time.Minute},
		"a year":         {"Cache-Control: max-age=31536000", time.Hour},
	} {
		s := newSite(t)
		s.document("", tt.header)
		s.want(t, name, true, 1)
		s.Documents.Age(tt.fresh - 10*time.Second)
		s.want(t, name+": still fresh", true, 0)
		s.Documents.Age(11 * time.Second)
		s.want(t, name+": no longer", true, 1)
	}

	s := newSite(t)
	var conditional atomic.Int32
	s.serve(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("ETag", `"v1"`)
		if r.Header.Get("If-None-Match") == `"v1"` {
			conditional.Add(1)
			w.WriteHeader(http.StatusNotModified)
			return
		}
		s.says(s.text("/c", ""))(w, r)
	})
	s.want(t, "first", true, 1)
	s.Documents.Age(6 * time.Minute)
	s.want(t, "not modified", true, 1)
	s.want(t, "fresh again", true, 0)
	if conditional.Load() != 1 {
		t.Error("the second request was not conditional")
	}
	s.document(`,"client_uri":"https://new.example"`)
	s.Documents.Age(6 * time.Minute)
	if c, err := s.get(t); err != nil || c.URI != "https://new.example" {
		t.Errorf("a changed document: %+v %v", c, err)
	}
}

// security.md 4: stale for at most an hour, and never after 404, 410 or an
// invalid document.
func TestStaleDocuments(t *testing.T) {
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	s := newSite(t)
	s.document("")
	s.want(t, "first", true, 1)
	s.serve(down)
	s.Documents.Age(6 * time.Minute)
	s.want(t, "its server fails", true, 1)
	s.want(t, "it is left alone for ten seconds", true, 0)
	s.Documents.Age(58 * time.Minute)
	s.want(t, "an hour later less a minute", true, 1)
	s.Documents.Age(2 * time.Minute)
	_, err := s.get(t)
	if e, ok := errors.AsType[*client.DocumentError](err); !ok || !e.Temporary {
		t.Errorf("after an hour: %v", err)
	}
	s.Documents.Age(time.Minute)
	s.document("")
	s.want(t, "its server is back", true, 1)

	for name, h := range map[string]http.HandlerFunc{
		"404": s.status(404), "410": s.status(410), "403": s.status(403), "redirect": s.status(302), "invalid": s.says(`{"client_id":"x"}`), "too large": s.says(strings.Repeat(" ", 6<<10)),
	} {
		s.document("")
		s.Documents.Age(24 * time.Hour)
		s.want(t, "before "+name, true, 1)
		s.serve(h)
		s.Documents.Age(6 * time.Minute)
		s.want(t, name, false, 1)
		s.serve(down) // and it does not come back to life
		s.Documents.Age(11 * time.Second)
		s.want(t, name+", then failing", false, 1)
	}
	for name, header := range map[string]string{"must-revalidate": "Cache-Control: must-revalidate", "less": "Cache-Control: stale-if-error=1"} {
		s.document("", header)
		s.Documents.Age(24 * time.Hour)
		s.want(t, name, true, 1)
		s.serve(down)
		s.Documents.Age(6 * time.Minute)
		s.want(t, name+": its server fails", false, 1)
	}
}

// security.md 4: never for keys, in the document or elsewhere.
func TestKeysAreNeverStale(t *testing.T) {
	public, _ := jwks(t)
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) }
	s := newSite(t)
	for _, keys := range []string{`"jwks":` + public, `"jwks_uri":"` + s.base + `/k"`} {
		s.Documents.Age(24 * time.Hour)
		s.document(`,"token_endpoint_auth_method":"private_key_jwt",` + keys)
		s.want(t, "document with "+keys, true, 1)
		s.serve(down)
		s.Documents.Age(6 * time.Minute)
		s.want(t, "its server fails", false, 1)
	}

	keys := func() error {
		_, _, err := s.Keys(t.Context(), s.base+"/k", time.Time{}, always)
		return err
	}
	s.serve(s.says(public))
	if err := keys(); err != nil {
		t.Fatal(err)
	}
	s.serve(down)
	if err := keys(); err != nil {
		t.Errorf("while fresh: %v", err)
	}
	s.Documents.Age(6 * time.Minute)
	if err := keys(); err == nil {
		t.Error("stale keys were used")
	}
	s.serve(s.says(`{"keys":[]}`))
	s.Documents.Age(time.Minute)
	if err := keys(); err == nil {
		t.Error("a set without keys was used")
	}
}

// A key that is not known yet is looked for, but not with every request.
func TestNewKeysAreFound(t *testing.T) {
	s := newSite(t)
	public, _ := jwks(t)
	s.serve(s.says(public))
	var asked time.Time
	ask := func(newer time.Time) int {
		return s.fetches(func() {
			var err error
			if _, asked, err = s.Keys(t.Context(), s.base+"/k", newer, always); err != nil {
				t.Fatal(err)
			}
		})
	}
	if ask(time.Time{}) != 1 || ask(time.Time{}) != 0 || ask(asked) != 0 {
		t.Error("within ten seconds keys are fetched once")
	}
	s.Documents.Age(11 * time.Second)
	if ask(time.Time{}) != 0 {
		t.Error("fresh keys were fetched")
	}
	if ask(asked) != 1 {
		t.Error("newer keys were not fetched")
	}
}

// proving.md: jwks_uri SSRF. The address is judged like any other.
func TestKeysOfPrivateAddressesAreRefused(t *testing.T) {
	s := newSite(t)
	s.serve(func(http.ResponseWriter, *http.Request) { t.Error("reached") })
	for _, url := range []string{
		"https://internal.example.test/k", "http://" + publisher + "/k", "https://127.0.0.1/k", "https://[::1]/k", "https://169.254.169.254/latest",
		"https://" + publisher + ":22/k", "file:///etc/passwd",
	} {
		if _, _, err := s.Keys(t.Context(), url, time.Time{}, always); err == nil {
			t.Errorf("%s was fetched", url)
		}
	}
}

// Everybody who waits for a document waits for one fetch, and nobody's leaving
// ends it.
func TestFetchesAreCoalesced(t *testing.T) {
	s := newSite(t)
	began, release := make(chan struct{}, 1), make(chan struct{})
	s.serve(func(w http.ResponseWriter, r *http.Request) {
		began <- struct{}{}
		<-release
		s.says(s.text("/c", ""))(w, r)
	})
	leaving, leave := context.WithCancel(t.Context())
	results := make(chan error, 20)
	n := s.fetches(func() {
		gone := make(chan error)
		go func() { _, err := s.Client(leaving, s.base+"/c", always); gone <- err }()
		<-began // by the one who is going to leave
		for range cap(results) {
			go func() { _, err := s.Client(t.Context(), s.base+"/c", always); results <- err }()
		}
		leave()
		if err := <-gone; err == nil {
			t.Error("who left has an answer")
		}
		close(release)
		for range cap(results) {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
	if n != 1 {
		t.Errorf("%d fetches", n)
	}
}

// What is held is bounded, and a permit is asked for before each fetch only.
func TestDocumentsAreBoundedAndPermitted(t *testing.T) {
	s := newSite(t)
	s.document("")
	no := errors.New("no")
	if n := s.fetches(func() {
		if _, err := s.Client(t.Context(), s.base+"/c", func() error { return no }); !errors.Is(err, no) {
			t.Error(err)
		}
	}); n != 0 {
		t.Error("fetched without a permit")
	}
	s.want(t, "first", true, 1)
	if _, err := s.Client(t.Context(), s.base+"/c", func() error { return no }); err != nil {
		t.Errorf("what is held needs no permit: %v", err)
	}
	_, most := s.Held()
	s.serve(s.status(404))
	for i := range most + 50 {
		// Refused before anything is dialled: ports are not on the list.
		_, _ = s.Client(t.Context(), fmt.Sprintf("https://%s:%d/c", publisher, 1000+i%60000), always)
	}
	if n, _ := s.Held(); n > most {
		t.Errorf("%d are held, %d are the most", n, most)
	}
}
