package admin

import (
	"crypto/sha256"
	_ "embed" // for the stylesheet
	"encoding/hex"
	"net/http"
	"strings"
	"time"
)

//go:embed static/admin.css
var style string

// stylePath is the address of the console's own stylesheet. It holds the
// content's hash, so that a browser may keep it for ever and still sees every
// change.
func stylePath() string {
	sum := sha256.Sum256([]byte(style))
	return "/static/admin." + hex.EncodeToString(sum[:6]) + ".css"
}

func static() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != stylePath() {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("Content-Type", "text/css; charset=utf-8")
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		http.ServeContent(w, r, "", time.Time{}, strings.NewReader(style))
	})
}
