package webtest_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"gatehouse/internal/webtest"
)

// browse serves h in a bubble, under any name, to a browser.
func browse(t *testing.T, h http.HandlerFunc, f func(t *testing.T, b *webtest.Browser)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		network := webtest.NewNetwork()
		server := &http.Server{Handler: h}
		go func() {
			if err := server.Serve(network); !errors.Is(err, http.ErrServerClosed) {
				t.Errorf("serve: %v", err)
			}
		}()
		t.Cleanup(func() { _ = server.Close() })
		f(t, webtest.NewBrowser(t, network.DialContext))
	})
}

const consent = `<!doctype html><title>Allow?</title><style>p{}</style>
<form id="other" action="/switch" method="post"><button name="who" value="bruno">Not you?</button></form>
<form action="/consent?x=1" method="POST">
<input type="hidden" name="request" value="r1">
<label><input type="checkbox" name="scope" value="users:read" checked> read</label>
<label><input type="checkbox" name="scope" value="orders:read" checked> orders</label>
<input type="checkbox" name="remember">
<input type="radio" name="for" value="hour"><input type="radio" name="for" value="day" checked>
<input name="name" value="a &amp; b"><input disabled name="off" value="1">
<textarea name="note">two
lines</textarea>
<select name="lang"><option value="en">E<option value="de" selected>D</select>
<button name="decision" value="deny">Deny</button>
<button name="decision" value="allow"> Allow
 <b>it</b></button>
<button type="button">Nothing</button></form>
<input form="other" name="extra" value="e"><p>Hello   <b>you</b></p>`

func TestBrowserSubmitsForms(t *testing.T) {
	show := func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet && r.URL.Path == "/" {
			_, _ = io.WriteString(w, consent)
			return
		}
		if err := r.ParseForm(); err != nil {
			t.Error(err)
		}
		fmt.Fprintf(w, "%s %s %s|%s|%s", r.Method, r.URL.RequestURI(), r.PostForm.Encode(), r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site"))
	}
	browse(t, show, func(t *testing.T, b *webtest.Browser) {
		page := b.Get("http://login.localhost:8080/")
		if page.Text() != "Not you? read orders two lines E D Deny Allow it Nothing Hello you" {
			t.Errorf("text is %q", page.Text())
		}
		const end = "|http://login.localhost:8080|same-origin"
		for _, c := range []struct {
			button string
			fields url.Values
			want   string
		}{
			{"Allow it", nil, "POST /consent?x=1 decision=allow&for=day&lang=de&name=a+%26+b&note=two%0Alines&request=r1&scope=users%3Aread&scope=orders%3Aread" + end},
			{"decision=deny", url.Values{"scope": nil, "for": {"hour"}, "remember": {"on"}, "note": {""}}, "POST /consent?x=1 decision=deny&for=hour&lang=de&name=a+%26+b&note=&remember=on&request=r1" + end},
			{"", nil, "POST /switch extra=e&who=bruno" + end},
		} {
			if got := page.Submit(c.button, c.fields); got.Body != c.want {
				t.Errorf("%q sent %s", c.button, got.Body)
			}
		}
	})
}

// TestBrowserMistakesEndTheTest: a test that presses what is not there fails.
func TestBrowserMistakesEndTheTest(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, consent) }))
	t.Cleanup(server.Close)
	for want, mistake := range map[string]func(b *webtest.Browser){
		`no button "Nothing"`: func(b *webtest.Browser) { b.Get(server.URL).Submit("Nothing", nil) },
		`no field "admin"`:    func(b *webtest.Browser) { b.Get(server.URL).Submit("Deny", url.Values{"admin": {"1"}}) },
		"is no redirect":      func(b *webtest.Browser) { b.Get(server.URL).Follow() },
		"leads nowhere":       func(b *webtest.Browser) { b.Get(server.URL).Location() },
		"no absolute URL":     func(b *webtest.Browser) { b.Get("/relative") },
	} {
		r := told(t, func(r *recorder) { mistake(webtest.NewBrowser(r, nil)) })
		if len(r.told) != 1 || !strings.Contains(r.told[0], want) {
			t.Errorf("told %q, want %q", r.told, want)
		}
	}
}

// TestBrowserSendsOriginAsChromium: strict referrer policies turn a form's
// Origin into null, and plain http gets no Sec-Fetch-Site.
func TestBrowserSendsOriginAsChromium(t *testing.T) {
	show := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Referrer-Policy", r.URL.Query().Get("policy"))
		fmt.Fprintf(w, `<form method=post action="%s"><button>Go</button></form>|%s|%s`, r.URL.Query().Get("to"), r.Header.Get("Origin"), r.Header.Get("Sec-Fetch-Site"))
	}
	browse(t, show, func(t *testing.T, b *webtest.Browser) {
		for _, c := range []struct{ page, want string }{
			{"http://login.localhost/", "|http://login.localhost|same-origin"},
			{"http://login.localhost/?policy=same-origin", "|http://login.localhost|same-origin"},
			{"http://login.localhost/?policy=no-referrer", "|null|same-origin"},
			{"http://login.localhost/?to=http://mcp.localhost/", "|http://login.localhost|cross-site"},
			{"http://login.localhost/?policy=same-origin&to=http://mcp.localhost/", "|null|cross-site"},
			{"http://login.example.com/?to=http://mcp.example.com/", "|http://login.example.com|"},
			{"http://login.example.com/?to=http://mcp.localhost/", "|http://login.example.com|cross-site"},
		} {
			if got := b.Get(c.page).Submit("Go", nil).Body; !strings.HasSuffix(got, c.want) {
				t.Errorf("%s sent %s, want %s", c.page, got, c.want)
			}
		}
		if got := b.Get("http://login.localhost/").Body; !strings.HasSuffix(got, "||none") {
			t.Errorf("Get sent %s", got)
		}
		if got := b.Post("http://evil.example/", "http://login.localhost/", nil).Body; !strings.HasSuffix(got, "|http://evil.example|cross-site") {
			t.Errorf("Post sent %s", got)
		}
	})
}

// TestBrowserKeepsCookiesAsChromium covers what security.md 17 leans on.
func TestBrowserKeepsCookiesAsChromium(t *testing.T) {
	var set string
	show := func(w http.ResponseWriter, r *http.Request) {
		if set != "" {
			w.Header().Set("Set-Cookie", set)
		}
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	}
	for _, c := range []struct{ from, set, to, want string }{
		{"http://login.localhost:8080/", "a=1", "http://login.localhost:8080/x", "a=1"},
		{"http://login.localhost:8080/", "a=1", "http://login.localhost:9090/", "a=1"}, // ports share cookies
		{"http://login.localhost/", "a=1", "http://mcp.localhost/", ""},
		{"http://login.localhost/a/b", "a=1", "http://login.localhost/", ""},
		{"http://login.localhost/a/b", "a=1", "http://login.localhost/a/c", "a=1"},
		{"http://login.localhost/", "a=1; Path=/a", "http://login.localhost/ab", ""},
		{"http://login.localhost/", "__Host-a=1; Secure; Path=/", "http://login.localhost/", "__Host-a=1"},
		{"http://127.0.0.1/", "__Host-a=1; Secure; Path=/", "http://127.0.0.1/", "__Host-a=1"},
		{"http://login.example.com/", "__Host-a=1; Secure; Path=/", "http://login.example.com/", ""},
		{"http://login.example.com/", "a=1; Secure", "http://login.example.com/", ""},
		{"http://login.example.com/", "a=1", "http://login.example.com/", "a=1"},
		{"http://login.localhost/", "__Host-a=1; Path=/", "http://login.localhost/", ""},
		{"http://login.localhost/", "__Host-a=1; Secure; Path=/login", "http://login.localhost/login", ""},
		{"http://login.localhost/", "__Secure-a=1", "http://login.localhost/", ""},
		{"http://login.localhost/", "a=" + strings.Repeat("x", 4096), "http://login.localhost/", ""},
		{"http://login.localhost/", "a=1; Max-Age=-1", "http://login.localhost/", ""},
		{"http://login.localhost/", "a=1; Max-Age=60", "http://login.localhost/", "a=1"},
		{"http://login.localhost/", "a=1; Expires=Thu, 01 Jan 1970 00:00:00 GMT", "http://login.localhost/", ""},
	} {
		browse(t, show, func(t *testing.T, b *webtest.Browser) {
			set = c.set
			b.Get(c.from)
			set = ""
			if got := b.Get(c.to).Body; got != c.want {
				t.Errorf("%s set %q; %s got %q, want %q", c.from, c.set, c.to, got, c.want)
			}
		})
	}
}

func TestBrowserForgetsAndReplacesCookies(t *testing.T) {
	show := func(w http.ResponseWriter, r *http.Request) {
		if set := r.URL.Query().Get("set"); set != "" {
			w.Header().Set("Set-Cookie", set)
		}
		_, _ = io.WriteString(w, r.Header.Get("Cookie"))
	}
	browse(t, show, func(t *testing.T, b *webtest.Browser) {
		const at = "http://login.localhost/"
		for _, c := range []struct{ set, want string }{
			{"a=1; Max-Age=60", "a=1"}, {"a=2; Max-Age=60", "a=2"}, {"b=1", "a=2; b=1"}, {"c=1; Path=/deep", "a=2; b=1"}, {"b=; Max-Age=0; Path=/", "a=2"},
		} {
			b.Get(at + "?set=" + url.QueryEscape(c.set))
			if got := b.Get(at).Body; got != c.want {
				t.Errorf("after %q: %q, want %q", c.set, got, c.want)
			}
		}
		// Duplicates of a name, as another program may leave them; longer paths go first.
		b.AddCookie(at, &http.Cookie{Name: "a", Value: "stale", Path: "/deep"})
		if got := b.Get(at + "deep").Body; got != "c=1; a=stale; a=2" {
			t.Errorf("duplicates are sent as %q", got)
		}
		if n := len(b.Cookies(at + "deep/er")); n != 3 {
			t.Errorf("%d cookies", n)
		}
		time.Sleep(time.Minute)
		if got := b.Get(at).Body; got != "" {
			t.Errorf("after a minute: %q", got)
		}
		b.ClearCookies()
		if n := len(b.Cookies(at + "deep")); n != 0 {
			t.Errorf("%d cookies after clearing", n)
		}
	})
}

// TestBrowserGuardsSameSiteCookies: a form of another site sends none.
func TestBrowserGuardsSameSiteCookies(t *testing.T) {
	show := func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Header.Get("Cookie")) }
	browse(t, show, func(t *testing.T, b *webtest.Browser) {
		const at = "http://login.localhost/"
		b.AddCookie(at, &http.Cookie{Name: "lax", Value: "1", SameSite: http.SameSiteLaxMode})
		b.AddCookie(at, &http.Cookie{Name: "none", Value: "1", SameSite: http.SameSiteNoneMode})
		if got := b.Post("http://evil.example/", at, nil).Body; got != "none=1" {
			t.Errorf("from another site: %q", got)
		}
		if got := b.Post("http://login.localhost/", at, nil).Body; got != "lax=1; none=1" {
			t.Errorf("from the site: %q", got)
		}
	})
}

func TestBrowserFollowsWhenTold(t *testing.T) {
	show := func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/" {
			http.Redirect(w, r, "/next?a=b", http.StatusSeeOther)
			return
		}
		_, _ = io.WriteString(w, r.URL.RequestURI())
	}
	browse(t, show, func(t *testing.T, b *webtest.Browser) {
		page := b.Get("http://login.localhost/")
		if page.Status != 303 || page.Location().String() != "http://login.localhost/next?a=b" {
			t.Errorf("%d to %s", page.Status, page.Location())
		}
		if next := page.Follow(); next.Status != 200 || next.Body != "/next?a=b" || next.URL.Path != "/next" {
			t.Errorf("%d %s at %s", next.Status, next.Body, next.URL)
		}
	})
}

// TestNetworkPassesFakeTime: waiting for the network lets time pass, deadlines
// included.
func TestNetworkPassesFakeTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		network := webtest.NewNetwork()
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		if _, err := network.Dial(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("nobody accepts: %v", err)
		}
		accepted := make(chan net.Conn, 1)
		go func() {
			conn, err := network.Accept()
			if err != nil {
				t.Error(err)
			}
			accepted <- conn
		}()
		client, err := network.Dial(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		server := <-accepted
		start := time.Now()
		if err := server.SetReadDeadline(start.Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		if _, err := server.Read(make([]byte, 1)); err == nil || time.Since(start) != time.Minute {
			t.Errorf("read gave %v after %s", err, time.Since(start))
		}
		_, _ = client.Close(), server.Close()
		_, _ = network.Close(), network.Close()
		if _, err := network.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Accept after Close: %v", err)
		}
		if _, err := network.Dial(t.Context()); !errors.Is(err, net.ErrClosed) {
			t.Errorf("Dial after Close: %v", err)
		}
	})
}
