package mcpclient

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"gatehouse/internal/secret"
)

// callback waits on this computer for the browser to bring the answer of an
// authorization (RFC 8252 §7.3).
type callback struct {
	address   string // the redirect URI
	listeners []net.Listener
	server    *http.Server
	result    chan outcome
}

type outcome struct {
	query url.Values
	code  string
	err   error
}

// redirect returns the checked RedirectURI.
func (c *Client) redirect() (*url.URL, error) {
	u, err := url.Parse(cmp.Or(c.RedirectURI, "http://127.0.0.1/callback"))
	plain := err == nil && u.Host != "" && u.RawQuery == "" && u.Fragment == "" && u.User == nil && u.Path != ""
	switch {
	case c.Await != nil:
		if !plain || c.RedirectURI == "" || u.Scheme != "https" && (u.Scheme != "http" || !onThisComputer(context.Background(), u.Hostname())) {
			return nil, fmt.Errorf("%w: the redirect URI of a web application must be https with a path and nothing after it", ErrURL)
		}
	case !plain || u.Scheme != "http" || !slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname()):
		return nil, fmt.Errorf("%w: the redirect URI must be http on 127.0.0.1, [::1] or localhost with a path, as in http://127.0.0.1/callback", ErrURL)
	}
	return u, nil
}

// at returns where the answer to an authorization is awaited.
func (c *Client) at(redirect *url.URL) (*callback, error) {
	if c.Await != nil {
		return &callback{address: redirect.String()}, nil
	}
	return await(redirect)
}

// await listens at a redirect URI, at a free port if it names none.
func await(redirect *url.URL) (*callback, error) {
	host := redirect.Hostname()
	if host == "localhost" {
		host = "127.0.0.1"
	}
	l, err := net.Listen("tcp", net.JoinHostPort(host, cmp.Or(redirect.Port(), "0")))
	if err != nil {
		return nil, fmt.Errorf("await the browser at %s: %w", redirect, err)
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		_ = l.Close() // the first error is the one to tell
		return nil, err
	}
	cb := &callback{listeners: []net.Listener{l}, result: make(chan outcome, 1)}
	if redirect.Hostname() == "localhost" { // which is ::1 to some browsers
		if six, err := net.Listen("tcp", net.JoinHostPort("::1", port)); err == nil {
			cb.listeners = append(cb.listeners, six)
		}
	}
	named := *redirect
	named.Host = net.JoinHostPort(redirect.Hostname(), port)
	cb.address = named.String()
	return cb, nil
}

// serve answers browsers until close. An answer counts if it bears state, once;
// others are refused and waiting goes on, or any page could end it (R-CL-17).
func (c *callback) serve(state, name string, judge func(url.Values) (code string, err error)) {
	here, _ := url.Parse(c.address) // made by await
	handler := func(w http.ResponseWriter, r *http.Request) {
		query, err := url.ParseQuery(r.URL.RawQuery)
		switch {
		case r.Host != here.Host: // a name that somebody pointed here
			show(w, http.StatusMisdirectedRequest, "Not here", "This address serves another name.")
		case r.Method != http.MethodGet || r.URL.Path != here.Path:
			show(w, http.StatusNotFound, "Nothing here", "Only the answer of a sign-in is awaited here.")
		case err != nil || repeated(query) || !secret.Equal(query.Get("state"), state):
			show(w, http.StatusBadRequest, "This is not the answer that is awaited", "It belongs to another sign-in. "+name+" goes on waiting for its own.")
		default:
			code, err := judge(query)
			select {
			case c.result <- outcome{query, code, err}:
			default: // the browser came twice
			}
			if err != nil {
				show(w, http.StatusOK, "Not connected", name+" was not connected. It says why in its own window; you can close this one.")
				return
			}
			show(w, http.StatusOK, "You can close this window", name+" has the answer and goes on by itself.")
		}
	}
	c.server = &http.Server{Handler: http.HandlerFunc(handler), ReadHeaderTimeout: connectTimeout, MaxHeaderBytes: 64 << 10}
	for _, l := range c.listeners {
		go func() { _ = c.server.Serve(l) }() // ends with close
	}
}

func repeated(query url.Values) bool {
	for _, values := range query {
		if len(values) > 1 {
			return true
		}
	}
	return false
}

// close stops listening, and lets a page that is being sent arrive.
func (c *callback) close() {
	if c.server == nil {
		for _, l := range c.listeners {
			_ = l.Close() // nothing is lost with it
		}
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if c.server.Shutdown(ctx) != nil {
		_ = c.server.Close() // a browser that keeps its connection
	}
}

const pageStyle = `:root{color-scheme:light dark}body{font:1rem/1.5 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;place-items:center;` +
	`background:light-dark(#f5f4f1,#141518);color:light-dark(#1b1c20,#ececee)}` +
	`main{box-sizing:border-box;max-width:28rem;margin:1rem;padding:1.5rem;overflow-wrap:anywhere;background:light-dark(#fff,#1d1f23);border:1px solid light-dark(#d6d3cc,#3b3d44);border-radius:.5rem}` +
	`h1{font-size:1.5rem;line-height:1.25;margin:0 0 .75rem}p{margin:0}`

// pageHTML needs nothing from elsewhere: it is the last that a person sees of a
// sign-in, and the program may end at once.
const pageHTML = `<!DOCTYPE html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">` +
	`<title>{{.Title}}</title><style>` + pageStyle + `</style></head><body><main><h1>{{.Title}}</h1><p>{{.Text}}</p></main></body></html>`

var pageTemplate = template.Must(template.New("answer").Parse(pageHTML))

func show(w http.ResponseWriter, status int, title, text string) {
	style := sha256.Sum256([]byte(pageStyle))
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'sha256-"+base64.StdEncoding.EncodeToString(style[:])+"'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	h.Set("Referrer-Policy", "no-referrer") // the address holds the code
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_ = pageTemplate.Execute(w, struct{ Title, Text string }{title, text}) // the browser may be gone
}
