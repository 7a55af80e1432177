package webtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// maxCookie is what Chromium accepts for name and value together, in bytes.
const maxCookie = 4096

// cookie is one that the browser keeps. Host decides where it goes, whatever
// the port.
type cookie struct {
	*http.Cookie
	host    string
	expires time.Time // zero: with the browser
}

// keep stores what an answer of from sets, as Chromium would: Secure and
// prefixed cookies work where the origin is trustworthy, and are dropped
// elsewhere without a word.
func (b *Browser) keep(from *url.URL, set []*http.Cookie) {
	b.t.Helper()
	for _, c := range set {
		if c.Domain != "" {
			b.t.Errorf("%s sets cookie %s with Domain; host cookies only", from, c.Name)
			continue
		}
		prefixed := strings.HasPrefix(c.Name, "__Host-") || strings.HasPrefix(c.Name, "__Secure-")
		switch {
		case c.Secure && !isTrustworthy(from),
			prefixed && !c.Secure,
			strings.HasPrefix(c.Name, "__Host-") && c.Path != "/",
			len(c.Name)+len(c.Value) > maxCookie:
			continue
		}
		b.AddCookie(from.String(), c)
	}
}

// AddCookie puts a cookie into the browser for the host of address, as another
// program or an older version of the product might have left it: no rule but
// the replacement of one with the same name and path is applied.
func (b *Browser) AddCookie(address string, c *http.Cookie) {
	b.t.Helper()
	u := b.parse(address)
	kept := cookie{Cookie: c, host: u.Hostname()}
	if !strings.HasPrefix(kept.Path, "/") { // RFC 6265 §5.1.4
		kept.Path = u.EscapedPath()[:max(1, strings.LastIndex(u.EscapedPath(), "/"))]
	}
	b.cookies = slices.DeleteFunc(b.cookies, func(old cookie) bool {
		return old.host == kept.host && old.Name == kept.Name && old.Path == kept.Path
	})
	switch {
	case c.MaxAge < 0, c.MaxAge == 0 && !c.Expires.IsZero() && !c.Expires.After(time.Now()):
		return // deleted
	case c.MaxAge > 0:
		kept.expires = time.Now().Add(time.Duration(c.MaxAge) * time.Second)
	case !c.Expires.IsZero():
		kept.expires = c.Expires
	}
	b.cookies = append(b.cookies, kept)
}

// Cookies returns the cookies that the browser would send to address.
func (b *Browser) Cookies(address string) []*http.Cookie {
	b.t.Helper()
	var sent []*http.Cookie
	for _, c := range b.matching(b.parse(address)) {
		sent = append(sent, c.Cookie)
	}
	return sent
}

// ClearCookies forgets all cookies.
func (b *Browser) ClearCookies() { b.cookies = nil }

// matching returns the cookies for to, those with longer paths first
// (RFC 6265 §5.4).
func (b *Browser) matching(to *url.URL) []cookie {
	path := to.EscapedPath()
	if path == "" {
		path = "/"
	}
	var found []cookie
	for _, c := range b.cookies {
		expired := !c.expires.IsZero() && !c.expires.After(time.Now())
		below := path == c.Path || strings.HasPrefix(path, strings.TrimSuffix(c.Path, "/")+"/")
		if c.host == to.Hostname() && below && !expired && (!c.Secure || isTrustworthy(to)) {
			found = append(found, c)
		}
	}
	slices.SortStableFunc(found, func(a, b cookie) int { return len(b.Path) - len(a.Path) })
	return found
}
