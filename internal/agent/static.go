package agent

import (
	"crypto/sha256"
	_ "embed" // for the two files below
	"encoding/hex"
	"net/http"
	"path"
	"strings"
	"time"
)

//go:embed static/chat.js
var script string

//go:embed static/agent.css
var style string

// staticPath is the address of an embedded file. It holds the content's hash,
// so that a browser may keep it for ever and still sees every change.
func staticPath(name string) string {
	body := script
	if name == "agent.css" {
		body = style
	}
	sum := sha256.Sum256([]byte(body))
	ext := path.Ext(name)
	return "/static/" + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
}

func static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		body := ""
		switch r.URL.Path {
		case staticPath("chat.js"):
			h.Set("Content-Type", "text/javascript; charset=utf-8")
			body = script
		case staticPath("agent.css"):
			h.Set("Content-Type", "text/css; charset=utf-8")
			body = style
		default:
			http.NotFound(w, r)
			return
		}
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(body))
	})
}
