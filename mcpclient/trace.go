package mcpclient

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"gatehouse/internal/oauth"
)

// Exchange is a request and its answer, for people who want to see what goes
// on. What would be a secret is masked: ‹refresh token, 43 characters, sha256
// 9f86d081› is the same each time, so that one can follow it.
type Exchange struct {
	Number         int    // in the order of beginnings, from 1
	Done           bool   // the answer is there, or Err; of what a browser does, nothing more is seen
	What           string // in words
	Method, URL    string
	RequestHeader  http.Header
	RequestBody    string
	Status         int // 0 if there is no answer to be had; see Err
	ResponseHeader http.Header
	ResponseBody   string
	Begun          time.Time
	Took           time.Duration
	Err            error
}

// maxTraced bounds what is shown of a body, in bytes.
const maxTraced = 256 << 10

// maxTracedDepth bounds how deep an object is that is shown.
const maxTracedDepth = 64

// tracer tells of what passes through it.
type tracer struct {
	base  http.RoundTripper
	tell  func(Exchange)
	mu    sync.Mutex
	begun int
}

func (t *tracer) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.tell == nil {
		return t.base.RoundTrip(req)
	}
	body, err := readBody(req)
	if err != nil {
		return nil, err
	}
	if body != nil {
		req = req.Clone(req.Context())
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	e := Exchange{
		What: describe(req, body), Method: req.Method, URL: maskURL(req.URL.String()), Begun: time.Now(),
		RequestHeader: maskHeader(req.Header), RequestBody: maskBody(req.Header, body),
	}
	t.begin(&e)
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		e.Err = err
		t.done(e)
		return nil, err
	}
	e.Status, e.ResponseHeader = resp.StatusCode, maskHeader(resp.Header)
	resp.Body = &overheard{ReadCloser: resp.Body, stream: isEventStream(resp), done: func(body []byte) {
		e.ResponseBody = maskBody(resp.Header, body)
		t.done(e)
	}}
	return resp, nil
}

func (t *tracer) CloseIdleConnections() {
	if c, ok := t.base.(interface{ CloseIdleConnections() }); ok {
		c.CloseIdleConnections()
	}
}

func (t *tracer) begin(e *Exchange) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.begun++
	e.Number = t.begun
	t.tell(*e)
}

func (t *tracer) done(e Exchange) {
	e.Done, e.Took = true, time.Since(e.Begun)
	t.mu.Lock()
	defer t.mu.Unlock()
	t.tell(e)
}

// tell tells of what goes on in the browser.
func (a *authorizer) tell(e Exchange) {
	if t, ok := a.wire.Transport.(*tracer); ok && t.tell != nil {
		e.Begun, e.Done = time.Now(), true
		t.begin(&e)
	}
}

// overheard keeps the beginning of what is read, and tells of it at the end. A
// stream of events ends with the answer to its request, before whoever waits for
// that has it, or the next message could be told of first.
type overheard struct {
	io.ReadCloser
	stream bool
	seen   []byte
	done   func([]byte)
	once   sync.Once
}

func (o *overheard) Read(p []byte) (int, error) {
	n, err := o.ReadCloser.Read(p)
	o.seen = append(o.seen, p[:min(n, maxTraced-len(o.seen))]...)
	if err != nil || o.stream && answered(o.seen) {
		o.once.Do(func() { o.done(o.seen) })
	}
	return n, err
}

// answered reports whether the last event of a stream is a whole JSON-RPC
// response.
func answered(stream []byte) bool {
	at := bytes.LastIndex(stream, []byte("data:"))
	if at < 0 {
		return false
	}
	line, _, whole := bytes.Cut(stream[at+len("data:"):], []byte("\n"))
	var message struct{ Result, Error json.RawMessage }
	return whole && json.Unmarshal(line, &message) == nil && (message.Result != nil || message.Error != nil)
}

func (o *overheard) Close() error {
	err := o.ReadCloser.Close()
	o.once.Do(func() { o.done(o.seen) })
	return err
}

// describe says what a request is, from its form.
func describe(req *http.Request, body []byte) string {
	path := req.URL.Path
	switch media := req.Header.Get("Content-Type"); {
	case strings.Contains(path, "/.well-known/oauth-protected-resource"):
		return "protected resource metadata"
	case strings.Contains(path, "/.well-known/"):
		return "authorization server metadata"
	case strings.HasPrefix(media, "application/x-www-form-urlencoded"):
		form, _ := url.ParseQuery(string(body)) // of our own making
		if grant := form.Get("grant_type"); grant != "" {
			return "token request, " + grant
		}
		return "token revocation"
	case strings.HasPrefix(media, "application/json"):
		var message struct {
			Method string
			Params struct{ Name string }
			URIs   []string `json:"redirect_uris"`
		}
		_ = json.Unmarshal(body, &message) // of our own making
		if message.URIs != nil {
			return "client registration"
		}
		return strings.TrimSpace("MCP " + message.Method + " " + message.Params.Name)
	case req.Method == http.MethodDelete:
		return "MCP end of session"
	}
	return "MCP"
}

// secrets are the members and parameters whose values are masked.
var secrets = map[string]string{
	"access_token": "access token", "refresh_token": "refresh token", "id_token": "ID token", "token": "token",
	"client_secret": "client secret", "registration_access_token": "registration token",
	"code": "code", "code_verifier": "code verifier", "client_assertion": "client assertion",
	"subject_token": "subject token", "actor_token": "actor token", "assertion": "assertion", "password": "password",
}

func mask(what, value string) string {
	sum := sha256.Sum256([]byte(value))
	return fmt.Sprintf("‹%s, %d characters, sha256 %s%s›", what, len(value), hex.EncodeToString(sum[:4]), decoded(value))
}

// decoded shows the header and claims of a JWT (RFC 7519), without the signature
// that makes it worth something; of all else nothing.
func decoded(value string) string {
	parts := strings.Split(value, ".")
	if len(parts) != 3 {
		return ""
	}
	header, err := base64.RawURLEncoding.DecodeString(parts[0])
	claims, failed := base64.RawURLEncoding.DecodeString(parts[1])
	var object map[string]any
	if err != nil || failed != nil || json.Unmarshal(header, &object) != nil || object["alg"] == nil || json.Unmarshal(claims, &object) != nil {
		return ""
	}
	return ", JWT " + string(header) + " " + string(claims)
}

// maskURL masks the query and the fragment of an address.
func maskURL(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return mask("unreadable address", address)
	}
	for _, part := range []struct {
		raw   string
		write func(string)
	}{
		{u.RawQuery, func(s string) { u.RawQuery = s }},
		{u.Fragment, func(s string) { u.Fragment, u.RawFragment = s, "" }},
	} {
		query, err := url.ParseQuery(part.raw)
		switch {
		case err != nil:
			part.write(mask("unreadable query", part.raw))
		case slices.ContainsFunc(slices.Collect(maps.Keys(query)), func(name string) bool { return secrets[name] != "" }):
			part.write(maskQuery(query))
		}
	}
	return u.Redacted()
}

func maskHeader(h http.Header) http.Header {
	h = h.Clone()
	for _, name := range []string{"Authorization", "Proxy-Authorization"} {
		if scheme, value, ok := strings.Cut(h.Get(name), " "); ok {
			what := "access token"
			if !strings.EqualFold(scheme, "Bearer") {
				what = "client id and secret"
			}
			h.Set(name, scheme+" "+mask(what, value))
		}
	}
	for _, name := range []string{"Cookie", "Set-Cookie"} {
		for i, value := range h[name] {
			h[name][i] = mask("cookie", value)
		}
	}
	for i, value := range h["Location"] {
		h["Location"][i] = maskURL(value)
	}
	return h
}

func maskBody(h http.Header, body []byte) string {
	media, _, _ := strings.Cut(h.Get("Content-Type"), ";")
	switch strings.TrimSpace(media) {
	case "application/x-www-form-urlencoded":
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return mask("unreadable form", string(body))
		}
		return maskQuery(form)
	case "text/event-stream":
		return string(body)
	}
	// Whatever a server calls its answer, one with tokens is an object.
	if bytes.HasPrefix(bytes.TrimSpace(body), []byte("{")) {
		return maskJSON(body)
	}
	return string(body)
}

// maskQuery writes parameters in their order of names, secrets masked.
func maskQuery(form url.Values) string {
	var parts []string
	for name, values := range form {
		for _, value := range values {
			if what, ok := secrets[name]; ok {
				parts = append(parts, name+"="+mask(what, value))
			} else {
				parts = append(parts, name+"="+url.QueryEscape(value))
			}
		}
	}
	slices.Sort(parts)
	return strings.Join(parts, "&")
}

// maskJSON masks members of an object of OAuth at any depth. Messages of MCP are
// left: what a tool returns is the person's own. One that cannot be read, or that
// names a member twice, may hold anything.
func maskJSON(body []byte) string {
	members, err := oauth.Members(body, maxTracedDepth)
	if err != nil {
		return mask("unreadable object", string(body))
	}
	if _, ok := members["jsonrpc"]; ok {
		return string(body)
	}
	var object any
	if json.Unmarshal(body, &object) != nil || !maskMembers(object) {
		return string(body)
	}
	var text strings.Builder
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	_ = encoder.Encode(object) // it came from JSON
	return strings.TrimSuffix(text.String(), "\n")
}

// maskMembers masks in place, and reports whether there was anything to.
func maskMembers(value any) (found bool) {
	switch v := value.(type) {
	case map[string]any:
		for name, member := range v {
			text, isText := member.(string)
			if what, ok := secrets[strings.ToLower(name)]; ok && isText && text != "" {
				v[name], found = mask(what, text), true
				continue
			}
			found = maskMembers(member) || found
		}
	case []any:
		for _, element := range v {
			found = maskMembers(element) || found
		}
	}
	return found
}
