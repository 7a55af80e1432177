// Package page turns views into HTML answers: the layout every page shares,
// the stylesheet and the mark, and the headers that keep a page from being
// framed, scripted or cached.
//
// It does not know any page: the roles own their templates, hand them to
// [Parse] at start and write them with [Set.Render]. It holds no script,
// because sign-in and consent must work, and be safe, without one; a role whose
// pages have one, in a file on their own origin, says so with [Set.Scripted].
package page

import (
	"bytes"
	_ "embed" // for the layout
	"fmt"
	"html/template"
	"io/fs"
	"maps"
	"net/http"
	"path"
	"strconv"
	"strings"
)

//go:embed layout.html
var layout string

// policy is the Content-Security-Policy of every page. What is not listed is
// forbidden, script above all.
//
// There is no form-action on purpose: browsers apply it to redirects that
// follow a POST, so it would stop the answer of a consent page from reaching
// the client. The forms' actions are constants in our own templates instead.
const policy = "default-src 'none'; style-src 'self'; img-src 'self'; frame-ancestors 'none'; base-uri 'none'"

// A Set is the pages of one role, parsed once. It is safe for concurrent use.
type Set struct {
	pages  map[string]*template.Template
	script bool
}

// Scripted returns the same pages with a policy that lets them load a script of
// their own origin, and lets it talk there.
func (s *Set) Scripted() *Set { return &Set{pages: s.pages, script: true} }

// Parse reads every file that the globs name (as in [fs.Glob]) and combines
// each with the layout. A file whose name starts with an underscore is not a
// page but a piece that all pages of the set may use.
//
// A page defines "title" and "main", and if it likes "place" (whose page this
// is: the host, beside the mark) and "width" (the class "wide"). Another
// organization's pages define "site", "mark" and "head" (what is linked) too.
// A glob without files and two pages of one name are errors.
func Parse(fsys fs.FS, globs ...string) (*Set, error) {
	base, err := template.New("layout.html").Funcs(funcs(assets())).Parse(layout)
	if err != nil {
		return nil, fmt.Errorf("parse layout: %w", err)
	}
	files := map[string]string{} // base name → path
	for _, glob := range globs {
		found, err := fs.Glob(fsys, glob)
		if err != nil {
			return nil, fmt.Errorf("list pages %s: %w", glob, err)
		}
		if len(found) == 0 {
			return nil, fmt.Errorf("list pages %s: no file matches", glob)
		}
		for _, file := range found {
			name := path.Base(file)
			if other, ok := files[name]; ok && other != file {
				return nil, fmt.Errorf("parse pages: %s and %s have the same name; rename one", other, file)
			}
			files[name] = file
		}
	}
	for name, file := range files {
		if strings.HasPrefix(name, "_") {
			if _, err := base.ParseFS(fsys, file); err != nil {
				return nil, fmt.Errorf("parse piece %s: %w", file, err)
			}
		}
	}
	maps.DeleteFunc(files, func(name, _ string) bool { return strings.HasPrefix(name, "_") })
	return parsePages(base, fsys, files)
}

func parsePages(base *template.Template, fsys fs.FS, files map[string]string) (*Set, error) {
	s := &Set{pages: make(map[string]*template.Template, len(files))}
	for name, file := range files {
		t, err := base.Clone()
		if err != nil {
			return nil, fmt.Errorf("parse page %s: %w", file, err)
		}
		if _, err := t.ParseFS(fsys, file); err != nil {
			return nil, fmt.Errorf("parse page %s: %w", file, err)
		}
		for _, part := range []string{"title", "main"} {
			if t.Lookup(part) == nil {
				return nil, fmt.Errorf("parse page %s: it does not define %q", file, part)
			}
		}
		s.pages[name] = t
	}
	return s, nil
}

// Render answers with the named page ("consent.html"), filled from view.
//
// The page is complete before anything is written: if the name is unknown or
// the template fails, Render returns the error and w is untouched, so that the
// caller can still answer. An error after that is the connection's. Headers
// that the caller set before, cookies above all, are kept.
func (s *Set) Render(w http.ResponseWriter, status int, name string, view any) error {
	t, ok := s.pages[name]
	if !ok {
		return fmt.Errorf("render page %s: there is no such page", name)
	}
	var b bytes.Buffer
	if err := t.Execute(&b, view); err != nil {
		return fmt.Errorf("render page %s: %w", name, err)
	}
	h := w.Header()
	setHeaders(h)
	if s.script {
		h.Set("Content-Security-Policy", policy+"; script-src 'self'; connect-src 'self'")
	}
	h.Set("Content-Length", strconv.Itoa(b.Len()))
	w.WriteHeader(status)
	if _, err := w.Write(b.Bytes()); err != nil {
		return fmt.Errorf("write page %s: %w", name, err)
	}
	return nil
}

// Piece renders a piece that pages share, as the named page has it: for a page
// that is open already.
func (s *Set) Piece(name, piece string, view any) (string, error) {
	t, ok := s.pages[name]
	if !ok {
		return "", fmt.Errorf("render page %s: there is no such page", name)
	}
	var b strings.Builder
	if err := t.ExecuteTemplate(&b, piece, view); err != nil {
		return "", fmt.Errorf("render %s of page %s: %w", piece, name, err)
	}
	return b.String(), nil
}

func setHeaders(h http.Header) {
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY") // for browsers that do not know frame-ancestors
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Cache-Control", "no-store")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	// No Cross-Origin-Opener-Policy: every value but unsafe-none cuts a pop-up
	// off from the page that opened it, for good, and a client that waits
	// there for its callback's message would never hear it.
	// Not "no-referrer": it turns the Origin of our own forms into "null",
	// and http.CrossOriginProtection would refuse them on plain http, where
	// browsers send no Sec-Fetch-Site. Nothing leaves this origin either way.
	h.Set("Referrer-Policy", "same-origin")
}
