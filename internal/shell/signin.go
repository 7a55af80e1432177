package shell

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"golang.org/x/net/html"
)

// SignIn goes through Gatehouse's own sign-in and consent pages in the place of
// a person with a browser, for scripts and tests. It gives every answer that
// the pages suggest, and stops at pages that it does not know.
type SignIn struct {
	Name      string
	Password  string // where the page asks for one
	Transport http.RoundTripper
	// Decide is asked in place of agreeing to what the consent page suggests. It
	// returns the scopes to leave on, or false to decline.
	Decide func(Consent) (scopes []string, allow bool)
}

// Consent is what a consent page shows.
type Consent struct {
	Lines  []string // its sentences, in order
	Scopes []string // that are switched on
}

const (
	maxPages = 12
	maxPage  = 1 << 20 // bytes
)

// Open implements mcpclient.Client.Open.
func (g SignIn) Open(ctx context.Context, address string) error {
	start, err := url.Parse(address)
	if err != nil {
		return err
	}
	redirect := start.Query().Get("redirect_uri")
	visit := &visit{SignIn: g, origin: start.Scheme + "://" + start.Host}
	client := &http.Client{Transport: g.Transport, Jar: &visit.jar, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	for range maxPages {
		if err != nil {
			return err
		}
		resp, failed := client.Do(req)
		if failed != nil {
			return failed
		}
		page, failed := io.ReadAll(io.LimitReader(resp.Body, maxPage))
		_ = resp.Body.Close() // it was read
		if failed != nil {
			return failed
		}
		if location, failed := resp.Location(); failed == nil {
			if redirect != "" && strings.HasPrefix(location.String(), redirect+"?") {
				return bring(ctx, g.Transport, location)
			}
			req, err = visit.get(ctx, location)
			continue
		}
		req, err = visit.answer(ctx, resp, page)
	}
	return errors.New("sign in: the pages go on without end")
}

// bring takes the answer to the program that awaits it.
func bring(ctx context.Context, t http.RoundTripper, to *url.URL) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
	if err != nil {
		return err
	}
	resp, err := t.RoundTrip(req)
	if err != nil {
		return fmt.Errorf("bring the answer back: %w", err)
	}
	return resp.Body.Close()
}

// visit is one walk through the pages of an origin.
type visit struct {
	SignIn
	origin string
	jar    jar
	// named and proven: a name, and a password, was given; the same page again
	// means that it was refused.
	named, proven bool
}

func (v *visit) get(ctx context.Context, to *url.URL) (*http.Request, error) {
	if to.Scheme+"://"+to.Host != v.origin {
		return nil, fmt.Errorf("sign in: the pages lead to %s://%s, away from %s; use a browser", to.Scheme, to.Host, v.origin)
	}
	return http.NewRequestWithContext(ctx, http.MethodGet, to.String(), nil)
}

// answer fills in the form that a page holds.
func (v *visit) answer(ctx context.Context, resp *http.Response, page []byte) (*http.Request, error) {
	root, err := html.Parse(strings.NewReader(string(page)))
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	for _, form := range elements(root, "form") {
		fields, buttons := controls(form)
		_, asksName := fields["username"]
		_, asksPassword := fields["password"]
		switch action := attr(form, "action"); {
		case action == "/login" && asksName && (!v.named || asksPassword && !v.proven):
			if asksPassword && v.Password == "" {
				return nil, errors.New("sign in: the page asks for a password; give it in the environment variable GATEHOUSE_PASSWORD")
			}
			v.named, v.proven = true, asksPassword
			fields.Set("username", v.Name)
			fields.Set("action", "signin")
			if asksPassword {
				fields.Set("password", v.Password)
			}
		case action == "/consent" && (buttons["allow"] || buttons["continue"]):
			fields.Set("action", "continue")
			if buttons["allow"] {
				fields.Set("action", "allow")
			}
			v.decide(root, fields)
		default:
			continue
		}
		return v.post(ctx, resp.Request.URL, attr(form, "action"), fields)
	}
	return nil, fmt.Errorf("sign in: the page does not go on: %s", clean(summary(root)))
}

// decide puts the answer of Decide into the fields of a consent page.
func (v *visit) decide(root *html.Node, fields url.Values) {
	if v.Decide == nil {
		return
	}
	var lines []string
	for _, p := range elements(root, "p") {
		lines = append(lines, strings.Join(strings.Fields(text(p)), " "))
	}
	scopes, allow := v.Decide(Consent{Lines: lines, Scopes: fields["scope"]})
	if !allow {
		fields.Set("action", "deny")
		fields.Del("scope")
		return
	}
	fields["scope"] = scopes
}

func (v *visit) post(ctx context.Context, from *url.URL, action string, values url.Values) (*http.Request, error) {
	to, err := from.Parse(action)
	if err != nil {
		return nil, fmt.Errorf("sign in: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.String(), strings.NewReader(values.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	req.Header.Set("Origin", v.origin)
	return req, nil
}

// controls returns what a form would send as it stands, and the values of its
// buttons named action.
func controls(form *html.Node) (fields url.Values, buttons map[string]bool) {
	fields, buttons = url.Values{}, map[string]bool{}
	for _, input := range elements(form, "input") {
		kind := attr(input, "type")
		if (kind == "checkbox" || kind == "radio") && !has(input, "checked") {
			continue
		}
		fields.Add(attr(input, "name"), attr(input, "value"))
	}
	for _, button := range elements(form, "button") {
		if attr(button, "name") == "action" {
			buttons[attr(button, "value")] = true
		}
	}
	return fields, buttons
}

// summary is what a page says first.
func summary(root *html.Node) string {
	var parts []string
	for _, name := range []string{"h1", "p"} {
		if found := elements(root, name); len(found) > 0 {
			parts = append(parts, strings.Join(strings.Fields(text(found[0])), " "))
		}
	}
	for _, p := range elements(root, "p") {
		if attr(p, "role") == "alert" {
			return strings.Join(strings.Fields(text(p)), " ")
		}
	}
	return strings.Join(parts, ": ")
}

func text(n *html.Node) string {
	if n.Type == html.TextNode {
		return n.Data
	}
	var b strings.Builder
	for c := range n.ChildNodes() {
		b.WriteString(text(c))
	}
	return b.String()
}

func elements(n *html.Node, name string) []*html.Node {
	var found []*html.Node
	for d := range n.Descendants() {
		if d.Type == html.ElementNode && d.Data == name {
			found = append(found, d)
		}
	}
	return found
}

func attr(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func has(n *html.Node, name string) bool {
	for _, a := range n.Attr {
		if a.Key == name {
			return true
		}
	}
	return false
}

// jar keeps the cookies of one walk, which stays on one origin. The library's
// own sends no Secure cookies to plain http names below localhost, as browsers
// do.
type jar struct {
	mu      sync.Mutex
	cookies map[string]string
}

// SetCookies implements http.CookieJar.
func (j *jar) SetCookies(_ *url.URL, set []*http.Cookie) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.cookies == nil {
		j.cookies = map[string]string{}
	}
	for _, c := range set {
		if c.MaxAge < 0 {
			delete(j.cookies, c.Name)
			continue
		}
		j.cookies[c.Name] = c.Value
	}
}

// Cookies implements http.CookieJar.
func (j *jar) Cookies(*url.URL) []*http.Cookie {
	j.mu.Lock()
	defer j.mu.Unlock()
	var all []*http.Cookie
	for name, value := range j.cookies {
		all = append(all, &http.Cookie{Name: name, Value: value})
	}
	return all
}
