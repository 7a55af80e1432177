package authserver

import (
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"

	"gatehouse/internal/client"
)

// Limits of what a browser may bring along before this server tidies up.
const (
	maxCookieBytes = 12 << 10
	maxFlowCookies = 20
	maxCleared     = 200 // browsers keep fewer for one site
)

// cookieJar names, reads and writes this server's cookies. Names have the
// __Host- prefix wherever browsers accept it: https, and http on localhost.
type cookieJar struct {
	host   string // of the issuer, as pages show it
	secure bool
	prefix string
}

func newCookieJar(issuer *url.URL) cookieJar {
	j := cookieJar{host: issuer.Host, secure: issuer.Scheme == "https" || client.IsLoopback(issuer.String())}
	if j.secure {
		j.prefix = "__Host-"
	}
	return j
}

func (j cookieJar) session() string { return j.prefix + "gatehouse-session" }

func (j cookieJar) invitation() string { return j.prefix + "gatehouse-invitation" }

// flow names the cookie that binds one authorization request to one browser.
func (j cookieJar) flow(requestID string) string { return j.flowPrefix() + requestID }

func (j cookieJar) flowPrefix() string { return j.prefix + "gatehouse-flow-" }

// read returns the value of a cookie that came exactly once. Two of one name
// mean that somebody else set one of them (a sibling domain, an old path), and
// neither can be believed.
func (j cookieJar) read(r *http.Request, name string) string {
	found := r.CookiesNamed(name)
	if len(found) != 1 {
		return ""
	}
	return found[0].Value
}

func (j cookieJar) write(w http.ResponseWriter, name, value string, lifetime time.Duration) {
	http.SetCookie(w, &http.Cookie{
		Name: name, Value: value, Path: "/", MaxAge: int(lifetime.Seconds()),
		Secure: j.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode,
	})
}

func (j cookieJar) clear(w http.ResponseWriter, name string) {
	http.SetCookie(w, &http.Cookie{Name: name, Path: "/", MaxAge: -1, Secure: j.secure, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// tidy clears cookies that would otherwise pile up until requests are too
// large (security.md 17): flow cookies beyond the bound, and where the browser
// sends too much, everything that is not ours. A sibling host may have set
// those for the parent domain, so they are cleared there too.
func (j cookieJar) tidy(w http.ResponseWriter, r *http.Request) {
	// Browsers send older cookies first (RFC 6265 §5.4), so what is over the
	// bound is at the beginning.
	over, cleared := -maxFlowCookies, 0
	for _, c := range r.Cookies() {
		if strings.HasPrefix(c.Name, j.flowPrefix()) {
			over++
		}
	}
	for _, c := range r.Cookies() {
		isFlow := strings.HasPrefix(c.Name, j.flowPrefix())
		foreign := !isFlow && c.Name != j.session() && c.Name != j.invitation() && oversized(r)
		if cleared == maxCleared || !foreign && (!isFlow || over <= 0) {
			continue
		}
		if isFlow {
			over--
		}
		cleared++
		j.clear(w, c.Name)
		if parent := j.parent(); foreign && parent != "" {
			http.SetCookie(w, &http.Cookie{Name: c.Name, Path: "/", Domain: parent, MaxAge: -1})
		}
	}
}

// parent is the domain above this server's host, if cookies can be set for it.
func (j cookieJar) parent() string {
	name, _, _ := strings.Cut(j.host, ":")
	_, parent, _ := strings.Cut(name, ".")
	if !strings.Contains(parent, ".") {
		return ""
	}
	return parent
}

func oversized(r *http.Request) bool {
	size := 0
	for _, line := range r.Header["Cookie"] {
		size += len(line)
	}
	return size > maxCookieBytes
}

func toUpper(r rune) rune { return unicode.ToUpper(r) }
