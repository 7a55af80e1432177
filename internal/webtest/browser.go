package webtest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// maxPage bounds what a Browser reads of an answer, in bytes.
const maxPage = 4 << 20

// Browser is a person's browser without scripts: it keeps cookies, submits
// forms and follows a redirect only when told to. What it sends along follows
// Chromium. It is for one goroutine. Whatever goes wrong on the wire ends the
// test.
type Browser struct {
	t         testing.TB
	client    *http.Client
	transport *http.Transport
	cookies   []cookie
}

// NewBrowser returns a browser whose connections come from dial; nil dials by
// TCP, with localhost and the names below it being this machine.
func NewBrowser(t testing.TB, dial func(ctx context.Context, network, address string) (net.Conn, error)) *Browser {
	if dial == nil {
		dial = DialTCP
	}
	transport := &http.Transport{DialContext: dial, MaxResponseHeaderBytes: maxPage}
	t.Cleanup(transport.CloseIdleConnections)
	return &Browser{t: t, transport: transport, client: &http.Client{
		Transport:     transport,
		Timeout:       time.Minute,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

// Trust makes the browser believe the certificate authorities of a PEM file, and
// no others, on https.
func (b *Browser) Trust(file string) {
	b.t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		b.t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(text) {
		b.t.Fatalf("%s holds no certificate", file)
	}
	b.transport.TLSClientConfig = &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}
}

// DialTCP dials by TCP; localhost and the names below it are this machine, which
// not every resolver knows.
func DialTCP(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	if isLocalhost(host) {
		address = net.JoinHostPort("127.0.0.1", port)
	}
	var d net.Dialer
	return d.DialContext(ctx, network, address)
}

// Page is an answer as the browser has it before it.
type Page struct {
	URL    *url.URL
	Status int
	Header http.Header
	Body   string

	browser *Browser
	// initiator is the page whose link, form or redirect chain began outside of
	// the browser's address bar; nil after Get.
	initiator *url.URL
}

// Get opens an address as if it was typed.
func (b *Browser) Get(address string) *Page {
	b.t.Helper()
	return b.open(http.MethodGet, b.parse(address), "", nil, "")
}

func (b *Browser) parse(address string) *url.URL {
	b.t.Helper()
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		b.t.Fatalf("open %q: it is no absolute URL", address)
	}
	return u
}

// open sends one request. The initiator is the page that caused it, policy the
// Referrer-Policy of that page.
func (b *Browser) open(method string, to *url.URL, body string, initiator *url.URL, policy string) *Page {
	b.t.Helper()
	req, err := http.NewRequestWithContext(b.t.Context(), method, to.String(), strings.NewReader(body))
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, to, err)
	}
	req.Header.Set("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8")
	req.Header.Set("User-Agent", "Mozilla/5.0 (webtest)")
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if initiator != nil {
			req.Header.Set("Origin", postOrigin(initiator, to, policy))
		}
	}
	if isTrustworthy(to) { // others get no Sec-Fetch-*
		req.Header.Set("Sec-Fetch-Mode", "navigate")
		req.Header.Set("Sec-Fetch-Dest", "document")
		req.Header.Set("Sec-Fetch-Site", fetchSite(initiator, to))
	}
	crossSitePost := method == http.MethodPost && initiator != nil && site(initiator) != site(to)
	for _, c := range b.matching(to) {
		if !crossSitePost || c.SameSite == http.SameSiteNoneMode {
			req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
		}
	}
	resp, err := b.client.Do(req)
	if err != nil {
		b.t.Fatalf("%s %s: %v", method, to, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxPage))
	if err != nil {
		b.t.Fatalf("%s %s: read the answer: %v", method, to, err)
	}
	b.keep(to, resp.Cookies())
	return &Page{URL: to, Status: resp.StatusCode, Header: resp.Header, Body: string(data), browser: b, initiator: initiator}
}

// Follow opens where the page redirects to. A 307 and 308 of a POST are not
// followed, since nothing here should answer with them.
func (p *Page) Follow() *Page {
	p.browser.t.Helper()
	if !slices.Contains([]int{301, 302, 303, 307, 308}, p.Status) {
		p.browser.t.Fatalf("%s: status %d is no redirect; page: %s", p.URL, p.Status, p.Text())
	}
	return p.browser.open(http.MethodGet, p.Location(), "", p.initiator, "")
}

// Location returns where the page redirects to, in full.
func (p *Page) Location() *url.URL {
	p.browser.t.Helper()
	to, err := p.URL.Parse(p.Header.Get("Location"))
	if err != nil || p.Header.Get("Location") == "" {
		p.browser.t.Fatalf("%s: Location %q leads nowhere; page: %s", p.URL, p.Header.Get("Location"), p.Text())
	}
	return to
}

// Post sends a form that a page of another origin made up, or of no origin if
// from is empty.
func (b *Browser) Post(from, address string, fields url.Values) *Page {
	b.t.Helper()
	var initiator *url.URL
	if from != "" {
		initiator = b.parse(from)
	}
	return b.open(http.MethodPost, b.parse(address), fields.Encode(), initiator, "")
}

// postOrigin is the Origin of a form post: Fetch, "append a request Origin
// header". A strict Referrer-Policy hides it even from the page's own server.
func postOrigin(from, to *url.URL, policy string) string {
	if policy == "no-referrer" || policy == "same-origin" && origin(from) != origin(to) {
		return "null"
	}
	return origin(from)
}

func fetchSite(from, to *url.URL) string {
	switch {
	case from == nil:
		return "none"
	case origin(from) == origin(to):
		return "same-origin"
	case site(from) == site(to):
		return "same-site"
	}
	return "cross-site"
}

func origin(u *url.URL) string { return u.Scheme + "://" + u.Host }

// site is scheme and registrable domain, taken as the last two labels.
func site(u *url.URL) string {
	labels := strings.Split(u.Hostname(), ".")
	return u.Scheme + "://" + strings.Join(labels[max(0, len(labels)-2):], ".")
}

// isTrustworthy is Secure Contexts §3.1.
func isTrustworthy(u *url.URL) bool {
	ip, err := netip.ParseAddr(u.Hostname())
	return u.Scheme == "https" || isLocalhost(u.Hostname()) || err == nil && ip.IsLoopback()
}

func isLocalhost(host string) bool {
	return host == "localhost" || strings.HasSuffix(host, ".localhost")
}
