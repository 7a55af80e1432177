package client_test

import (
	"net"
	"net/url"
	"path"
	"regexp"
	"strings"
	"testing"

	"gatehouse/internal/client"
)

// R-AS-8 and section 3 of the draft; look-alikes and ports by which one host
// passes for another (proving.md).
func TestCheckDocumentID(t *testing.T) {
	for _, id := range []string{
		"https://app.example.com/client.json", "https://app.example.com/", "https://app.example.com/a/b?x=y", "https://app.example.com:8443/c",
		"https://xn--80ak6aa92e.com/client", "https://localhost/c", "https://a/c", "https://example.com/%C3%A4", "https://x.example/~a/b;c=d/e,f",
	} {
		if err := client.CheckDocumentID(id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	for name, id := range map[string]string{
		"plain http":            "http://app.example.com/c",
		"scheme in upper case":  "HTTPS://app.example.com/c",
		"no path":               "https://app.example.com",
		"query but no path":     "https://app.example.com?x",
		"fragment":              "https://app.example.com/c#x",
		"empty fragment":        "https://app.example.com/c#",
		"user":                  "https://app.example.com@evil.example/c",
		"user and password":     "https://a:b@evil.example/c",
		"empty user":            "https://@evil.example/c",
		"dot":                   "https://app.example.com/./c",
		"dots":                  "https://app.example.com/a/../c",
		"dots at the end":       "https://app.example.com/a/..",
		"encoded dots":          "https://app.example.com/a/%2e%2E/c",
		"half-encoded dots":     "https://app.example.com/a/.%2e/c",
		"dots encoded twice":    "https://app.example.com/a/%252e%252e/c",
		"default port":          "https://app.example.com:443/c",
		"empty port":            "https://app.example.com:/c",
		"port with a zero":      "https://app.example.com:08443/c",
		"port zero":             "https://app.example.com:0/c",
		"port that is a host":   "https://app.example.com:evil.example/c",
		"upper-case host":       "https://App.example.com/c",
		"Cyrillic а":            "https://аpp.example.com/c",
		"encoded host":          "https://%61pp.example.com/c",
		"full-width dot":        "https://app。example.com/c",
		"trailing dot":          "https://app.example.com./c",
		"empty label":           "https://app..example.com/c",
		"label with hyphens":    "https://-app.example.com/c",
		"underscore":            "https://app_x.example.com/c",
		"address":               "https://127.0.0.1/c",
		"short address":         "https://127.1/c",
		"decimal address":       "https://2130706433/c",
		"hexadecimal address":   "https://0x7f.0x1/c",
		"hexadecimal, one part": "https://0x7f000001/c",
		"octal address":         "https://0177.0.0.1/c",
		"IPv6":                  "https://[::1]/c",
		"mapped IPv6":           "https://[::ffff:127.0.0.1]/c",
		"backslash":             `https://app.example.com\@evil.example/c`,
		"backslash in the path": `https://app.example.com/\c`,
		"blank":                 "https://app.example.com/a b",
		"line break":            "https://app.example.com/a\nb",
		"tab":                   "https://app.exam\tple.com/c",
		"nul":                   "https://app.example.com/\x00",
		"turned text":           "https://app.example.com/\u202ec",
		"bad encoding":          "https://app.example.com/%zz",
		"opaque":                "https:app.example.com/c",
		"empty query":           "https://app.example.com/c?",
		"no host":               "https:///c",
		"too long":              "https://app.example.com/" + strings.Repeat("c", 500),
		"empty":                 "",
	} {
		if err := client.CheckDocumentID(id); err == nil {
			t.Errorf("%s is accepted: %q", name, id)
		}
	}
}

// security.md 1: whose redirect it is, is a matter of scheme, host and port.
func TestOwnsRedirect(t *testing.T) {
	c := client.Client{ID: "https://app.example.com/client.json", Origin: client.Document}
	for uri, owns := range map[string]bool{
		"https://app.example.com/cb":              true,
		"https://app.example.com/":                true,
		"http://app.example.com/cb":               false,
		"https://app.example.com:8443/cb":         false,
		"https://app.example.com.evil.example/cb": false,
		"https://evil.example/app.example.com":    false,
		"https://www.app.example.com/cb":          false,
		"https://example.com/cb":                  false,
		"https://app.example.com@evil.example/cb": false,
		"http://localhost/cb":                     false,
	} {
		if got := c.OwnsRedirect(uri); got != owns {
			t.Errorf("%s: %v", uri, got)
		}
	}
	for _, origin := range []client.Origin{client.Registered, client.Administrated, ""} {
		c.Origin = origin
		if c.OwnsRedirect("https://app.example.com/cb") || c.DocumentHost() != "" {
			t.Errorf("a client that is %q has a document", origin)
		}
	}
}

// R-AS-13.
func TestOnlyLoopback(t *testing.T) {
	for uris, only := range map[string]bool{
		"http://localhost/cb http://127.0.0.1/cb http://[::1]:3/cb": true,
		"http://localhost/cb https://app.example.com/cb":            false,
		"https://localhost.evil.example/cb":                         false,
	} {
		if got := (client.Client{RedirectURIs: strings.Fields(uris)}).OnlyLoopback(); got != only {
			t.Errorf("%s: %v", uris, got)
		}
	}
}

// security.md 2 and 4: what changes force a new consent, and what does not.
func TestFingerprint(t *testing.T) {
	base := func() client.Client {
		return client.Client{ID: "c", Name: "Notebook", RedirectURIs: []string{"https://a.example/1", "https://a.example/2"}, AuthMethod: "private_key_jwt", Keys: []byte(`{"keys":[]}`), GrantTypes: []string{"authorization_code"}, CreatedAt: 1}
	}
	was := base().Fingerprint()
	for name, tt := range map[string]struct {
		change func(*client.Client)
		voids  bool
	}{
		"name":               {func(c *client.Client) { c.Name = "Claude" }, true},
		"another redirect":   {func(c *client.Client) { c.RedirectURIs = append(c.RedirectURIs, "https://a.example/3") }, true},
		"fewer redirects":    {func(c *client.Client) { c.RedirectURIs = c.RedirectURIs[:1] }, true},
		"key":                {func(c *client.Client) { c.Keys = []byte(`{"keys":[{}]}`) }, true},
		"keys elsewhere":     {func(c *client.Client) { c.Keys, c.KeysURI = nil, "https://a.example/jwks" }, true},
		"authentication":     {func(c *client.Client) { c.AuthMethod = "none" }, true},
		"secret":             {func(c *client.Client) { c.SecretHash = "h" }, true},
		"order of redirects": {func(c *client.Client) { c.RedirectURIs[0], c.RedirectURIs[1] = c.RedirectURIs[1], c.RedirectURIs[0] }, false},
		"blanks in keys":     {func(c *client.Client) { c.Keys = []byte(`{ "keys" : [] }`) }, false},
		"time":               {func(c *client.Client) { c.CreatedAt = 2 }, false},
		"page":               {func(c *client.Client) { c.URI = "https://a.example" }, false},
		"refresh":            {func(c *client.Client) { c.GrantTypes = append(c.GrantTypes, "refresh_token") }, false},
	} {
		c := base()
		tt.change(&c)
		if got := c.Fingerprint() != was; got != tt.voids {
			t.Errorf("%s: voids %v, want %v", name, got, tt.voids)
		}
	}
}

// Whatever is accepted is read in one way only: as an https URL whose host is a
// plain name.
func FuzzCheckDocumentID(f *testing.F) {
	for _, id := range []string{"https://app.example.com/c", "https://a:8443/%20?x", "https://a@b/", "https://a\\@b/c", "https://[::1]/", "https://x/%2e%2e/", "https://а.example/"} {
		f.Add(id)
	}
	name := regexp.MustCompile(`^[a-z0-9-]+(\.[a-z0-9-]+)*$`)
	f.Fuzz(func(t *testing.T, id string) {
		if client.CheckDocumentID(id) != nil {
			return
		}
		u, err := url.Parse(id)
		switch {
		case err != nil, u.String() != id, u.Scheme != "https", u.User != nil, u.Fragment != "", u.Opaque != "":
			t.Errorf("%q is accepted: %v", id, err)
		case !name.MatchString(u.Hostname()), net.ParseIP(u.Hostname()) != nil, !strings.HasPrefix(id, "https://"+u.Host+"/"):
			t.Errorf("%q is accepted with host %q", id, u.Host)
		case path.Clean(u.Path) != u.Path && path.Clean(u.Path)+"/" != u.Path && !strings.Contains(u.Path, "//"):
			t.Errorf("%q is accepted with path %q", id, u.Path)
		}
	})
}
