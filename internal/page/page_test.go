package page_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"gatehouse/internal/page"
)

// parse makes a set of the named files, whose text is a page's main part
// unless it defines parts itself.
func parse(t *testing.T, files map[string]string) *page.Set {
	t.Helper()
	fsys := fstest.MapFS{}
	for name, text := range files {
		if !strings.Contains(text, "{{define") {
			text = `{{define "title"}}T{{end}}{{define "main"}}` + text + `{{end}}`
		}
		fsys["pages/"+name] = &fstest.MapFile{Data: []byte(text)}
	}
	set, err := page.Parse(fsys, "pages/*.html")
	if err != nil {
		t.Fatal(err)
	}
	return set
}

func render(t *testing.T, set *page.Set, name string, view any) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	if err := set.Render(w, http.StatusOK, name, view); err != nil {
		t.Fatal(err)
	}
	return w
}

// security.md 18, R-RS-20: no page can be framed, scripted, cached or asked to
// tell another site where it was.
func TestRenderSetsHeaders(t *testing.T) {
	w := httptest.NewRecorder()
	w.Header().Add("Set-Cookie", "a=b")
	set := parse(t, map[string]string{"a.html": "hello"})
	if err := set.Render(w, http.StatusForbidden, "a.html", nil); err != nil {
		t.Fatal(err)
	}
	if w.Code != http.StatusForbidden {
		t.Errorf("status is %d, want 403", w.Code)
	}
	for name, want := range map[string]string{
		"Content-Type":           "text/html; charset=utf-8",
		"X-Frame-Options":        "DENY",
		"X-Content-Type-Options": "nosniff",
		"Cache-Control":          "no-store",
		// Not no-referrer, which makes Origin "null" on our own forms.
		"Referrer-Policy": "same-origin",
		// None: it would cut off clients that sign in through a pop-up.
		"Cross-Origin-Opener-Policy": "",
		"Set-Cookie":                 "a=b",
	} {
		if got := w.Header().Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	csp := strings.Split(w.Header().Get("Content-Security-Policy"), "; ")
	for _, want := range []string{"default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'", "style-src 'self'"} {
		if !slices.Contains(csp, want) {
			t.Errorf("Content-Security-Policy lacks %s: %q", want, csp)
		}
	}
	for _, directive := range csp {
		for _, forbidden := range []string{"unsafe", "script-src", "form-action", "data:", "*"} {
			if strings.Contains(directive, forbidden) {
				t.Errorf("Content-Security-Policy has %q", directive)
			}
		}
	}
}

// A page that fails half-way must not have been sent half-way.
func TestRenderWritesNothingOnError(t *testing.T) {
	set := parse(t, map[string]string{"a.html": `before {{.Missing}} after`})
	for _, tc := range []struct {
		name string
		view any
	}{
		{"a.html", struct{ Other string }{"x"}},
		{"unknown.html", nil},
	} {
		w := httptest.NewRecorder()
		err := set.Render(w, http.StatusOK, tc.name, tc.view)
		if err == nil || !strings.Contains(err.Error(), tc.name) {
			t.Errorf("%s: error is %v, want one that names the page", tc.name, err)
		}
		if w.Body.Len() > 0 || len(w.Header()) > 0 {
			t.Errorf("%s: wrote %q with headers %v", tc.name, w.Body, w.Header())
		}
	}
}

type brokenWriter struct{ http.ResponseWriter }

func (brokenWriter) Write([]byte) (int, error) { return 0, io.ErrClosedPipe }

func TestRenderReportsLostConnection(t *testing.T) {
	set := parse(t, map[string]string{"a.html": "hello"})
	err := set.Render(brokenWriter{httptest.NewRecorder()}, http.StatusOK, "a.html", nil)
	if !errors.Is(err, io.ErrClosedPipe) {
		t.Errorf("error is %v, want %v", err, io.ErrClosedPipe)
	}
}

// security.md 18: what a client says of itself is text and nothing else.
func TestRenderEscapes(t *testing.T) {
	set := parse(t, map[string]string{"a.html": `<p>{{.}}</p><a href="{{.}}" title="{{.}}">x</a>`})
	for _, hostile := range []string{
		`<script>alert(1)</script>`,
		`" onmouseover="alert(1)`,
		`javascript:alert(1)`,
	} {
		body := render(t, set, "a.html", hostile).Body.String()
		for _, live := range []string{"<script", `" onmouseover`, `href="javascript`} {
			if strings.Contains(body, live) {
				t.Errorf("%s: page contains %s:\n%s", hostile, live, body)
			}
		}
	}
}

func TestPiecesAreSharedAndNoPages(t *testing.T) {
	set := parse(t, map[string]string{
		"_piece.html": `{{define "greet"}}hello {{.}}{{end}}{{define "place"}}at the gate{{end}}`,
		"a.html":      `a: {{template "greet" .}}`,
		"b.html":      `b: {{template "greet" .}}`,
	})
	for _, name := range []string{"a", "b"} {
		body := render(t, set, name+".html", "alice").Body.String()
		if !strings.Contains(body, name+": hello alice") || !strings.Contains(body, "at the gate") {
			t.Errorf("%s.html lacks the pieces:\n%s", name, body)
		}
	}
	if err := set.Render(httptest.NewRecorder(), http.StatusOK, "_piece.html", nil); err == nil {
		t.Error("_piece.html was rendered as a page")
	}
}

func TestParseRefuses(t *testing.T) {
	whole := `{{define "title"}}T{{end}}{{define "main"}}M{{end}}`
	for _, tc := range []struct {
		name  string
		files map[string]string
		globs []string
		want  string // part of the error
	}{
		{"no file", nil, []string{"pages/*.html"}, "no file matches"},
		{"bad glob", nil, []string{"[]"}, "[]"},
		{"bad template", map[string]string{"p/a.html": "{{"}, []string{"p/*"}, "p/a.html"},
		{"bad piece", map[string]string{"p/_a.html": "{{"}, []string{"p/*"}, "p/_a.html"},
		{"no main", map[string]string{"p/a.html": `{{define "title"}}T{{end}}`}, []string{"p/*"}, `"main"`},
		{"same name", map[string]string{"p/a.html": whole, "q/a.html": whole}, []string{"p/*", "q/*"}, "rename"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			fsys := fstest.MapFS{}
			for name, text := range tc.files {
				fsys[name] = &fstest.MapFile{Data: []byte(text)}
			}
			_, err := page.Parse(fsys, tc.globs...)
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("error is %v, want one with %s", err, tc.want)
			}
		})
	}
}

// The addresses in a page are the ones that Assets serves, for ever.
func TestAssets(t *testing.T) {
	body := render(t, parse(t, map[string]string{"a.html": "x"}), "a.html", nil).Body.String()
	found := regexp.MustCompile(`/assets/[a-z]+\.[0-9a-f]{12}\.(css|svg)`).FindAllString(body, -1)
	if len(found) != 2 {
		t.Fatalf("page names assets %v, want the stylesheet and the mark", found)
	}
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".svg": "image/svg+xml"}
	for _, path := range found {
		w := httptest.NewRecorder()
		page.Assets().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusOK || w.Body.Len() == 0 {
			t.Errorf("%s: status %d, %d bytes", path, w.Code, w.Body.Len())
		}
		for name, want := range map[string]string{
			"Content-Type":           kinds[path[len(path)-4:]],
			"Cache-Control":          "public, max-age=31536000, immutable",
			"X-Content-Type-Options": "nosniff",
		} {
			if got := w.Header().Get(name); got != want {
				t.Errorf("%s: %s is %q, want %q", path, name, got, want)
			}
		}
		if strings.Contains(w.Body.String(), "url(") || strings.Contains(w.Body.String(), "@import") {
			t.Errorf("%s fetches something else", path)
		}
	}
	for _, path := range []string{"/assets/", "/assets/gatehouse.css", "/assets/gatehouse.000000000000.css", "/assets/../page.go"} {
		w := httptest.NewRecorder()
		page.Assets().ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, w.Code)
		}
	}
}

func TestUnknownAssetFailsThePage(t *testing.T) {
	set := parse(t, map[string]string{"a.html": `{{asset "missing.css"}}`})
	if err := set.Render(httptest.NewRecorder(), http.StatusOK, "a.html", nil); err == nil {
		t.Error("a page with an unknown asset was rendered")
	}
}

// security.md 18: a self-asserted name can neither hide, turn nor overpaint
// what stands beside it.
func TestName(t *testing.T) {
	set := parse(t, map[string]string{"a.html": `[{{name .}}]`})
	for _, tc := range []struct{ what, in, want string }{
		{"plain", "Notebook", "Notebook"},
		{"german", "Müller-Lüdenscheidt", "Müller-Lüdenscheidt"},
		{"arabic with vowels", "مُحَمَّد", "مُحَمَّد"},
		{"persian joiner", "می\u200cخواهم", "می\u200cخواهم"},
		{"right-to-left override", "note\u202egpj.exe", "notegpj.exe"},
		{"unclosed isolate", "note\u2066book", "notebook"},
		{"zero width", "Note\u200bbook\ufeff", "Notebook"},
		{"lines", "Notebook\n\nVerified", "Notebook  Verified"},
		{"control", "Note\x00\x1b[31mbook", "Note[31mbook"},
		{"invalid", "Note\xffbook", "Notebook"},
		{"stacked accents", "a" + strings.Repeat("\u0301", 40) + "b", "a\u0301\u0301\u0301b"},
		{"closing quote", "Notebook” is trusted", "Notebook&#34; is trusted"},
		{"blank", " \u3164\u2800\u200d ", "no name"},
		{"empty", "", "no name"},
		{"90 characters", strings.Repeat("x", 90), strings.Repeat("x", 90)},
		{"endless", strings.Repeat("é", 5000), strings.Repeat("é", 100) + "…"},
	} {
		body := render(t, set, "a.html", tc.in).Body.String()
		if !strings.Contains(body, "["+tc.want+"]") {
			t.Errorf("%s: want %q in\n%s", tc.what, tc.want, body)
		}
	}
}

func TestWords(t *testing.T) {
	now := time.Now()
	for _, tc := range []struct {
		text string
		view any
		want string
	}{
		{`[{{sentence .}}]`, "read customers", "[Read customers]"},
		{`[{{sentence .}}]`, "ändern", "[Ändern]"},
		{`[{{sentence .}}]`, "", "[]"},
		{`[{{range $i, $s := .}}{{between $i 3}}{{$s}}{{end}}]`, []string{"a", "b", "c"}, "[a, b and c]"},
		{`[{{lasting .}}]`, time.Time{}, "[until you end it]"},
		{`[{{lasting .}}]`, now.Add(30 * time.Second), "[for less than a minute]"},
		{`[{{lasting .}}]`, now.Add(10*time.Minute + 5*time.Second), "[for 10 minutes]"},
		{`[{{lasting .}}]`, now.Add(time.Hour), "[for 1 hour]"},
		{`[{{lasting .}}]`, now.Add(8 * time.Hour), "[for 8 hours]"},
		{`[{{lasting .}}]`, now.Add(40 * 24 * time.Hour), "[until " + now.Add(40*24*time.Hour).UTC().Format("2 Jan 2006") + "]"},
		{`[{{exact .}}]`, time.Date(2026, 12, 23, 15, 4, 0, 0, time.UTC), "[Wednesday, 23 December 2026, 15:04 UTC]"},
		{`[{{day .}}]`, time.Date(2026, 12, 23, 15, 4, 0, 0, time.UTC), "[23 Dec 2026]"},
		{`[{{iso .}}]`, time.Date(2026, 12, 23, 15, 4, 0, 0, time.UTC), "[2026-12-23T15:04:00Z]"},
	} {
		body := render(t, parse(t, map[string]string{"a.html": tc.text}), "a.html", tc.view).Body.String()
		if !strings.Contains(body, tc.want) {
			t.Errorf("%s of %v: want %s in\n%s", tc.text, tc.view, tc.want, body)
		}
	}
}
