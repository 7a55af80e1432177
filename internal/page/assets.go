package page

import (
	"crypto/sha256"
	_ "embed" // for the two files below
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

//go:embed assets/gatehouse.css
var stylesheet string

//go:embed assets/mark.svg
var mark string

// An asset is one embedded file under the address it is served at.
type asset struct {
	path string // "/assets/gatehouse.1a2b3c4d5e6f.css"
	kind string // its Content-Type
	body string
}

// assets maps the plain name of each embedded file to the asset. The address
// holds the content's hash, so that a browser may keep a file for ever and
// still sees every change.
func assets() map[string]asset {
	return map[string]asset{
		"gatehouse.css": {path: hashed("gatehouse", stylesheet, ".css"), kind: "text/css; charset=utf-8", body: stylesheet},
		"mark.svg":      {path: hashed("mark", mark, ".svg"), kind: "image/svg+xml", body: mark},
	}
}

func hashed(name, body, ext string) string {
	sum := sha256.Sum256([]byte(body))
	return "/assets/" + name + "." + hex.EncodeToString(sum[:6]) + ext
}

// Assets serves the stylesheet and the mark under /assets/, where the pages of
// every [Set] expect them on their own origin: mount it at "GET /assets/" of
// each host that shows pages. Other paths are 404.
func Assets() http.Handler {
	byPath := map[string]asset{}
	for _, a := range assets() {
		byPath[a.path] = a
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := byPath[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", a.kind)
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		// An SVG opened by itself is a document; it gets to do nothing.
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(a.body))
	})
}

// Stylesheet returns the text of the stylesheet, for a page that is a file of
// its own.
func Stylesheet() string { return stylesheet }
