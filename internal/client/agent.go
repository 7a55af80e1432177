package client

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/url"
	"slices"
	"strings"
)

// Agent is one or more registrations that say the same of themselves. It is how
// people look at clients; each of them keeps its own ID, secret and consents
// (security.md 2).
type Agent struct {
	Shape         string // what they have in common
	ClientID      string // of the newest
	Origin        Origin
	Name          string
	Host          string // where its answers go
	First, Last   int64  // registrations, Unix seconds
	Registrations int
}

// Agents a list can be narrowed to; empty picks all.
type AgentFilter struct {
	Origin Origin
	Name   string // begins so, in any case of ASCII letters
	Host   string // exact
	Paused bool   // some registration is
	After  AgentPosition
}

// AgentPosition is a place in a list of agents: what the last one seen was
// sorted by, and its shape.
type AgentPosition struct {
	Last  int64
	Name  string
	Shape string
}

// Shape returns what registrations of one program have in common: all that it
// said of itself, but for loopback ports, which differ at each start of many.
// Only what registered itself is grouped.
func (c Client) Shape() string {
	if c.Origin != Registered {
		return c.ID
	}
	var redirects []string
	for _, uri := range c.RedirectURIs {
		redirects = append(redirects, withoutLoopbackPort(uri))
	}
	slices.Sort(redirects)
	text, err := json.Marshal([]any{
		c.Name, c.URI, c.ApplicationType, slices.Compact(redirects), slices.Sorted(slices.Values(c.GrantTypes)),
		slices.Sorted(slices.Values(c.ResponseTypes)), c.AuthMethod, string(c.Keys), c.KeysURI, c.Scope,
	})
	if err != nil {
		return c.ID // it stands by itself
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

func withoutLoopbackPort(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || !IsLoopback(uri) {
		return uri
	}
	u.Host = u.Hostname()
	return u.String()
}

// Host is where a client's answers go: "localhost" for a program on the person's
// computer, empty for a client that nobody signs in with.
func (c Client) Host() string {
	if len(c.RedirectURIs) == 0 {
		return ""
	}
	if IsLoopback(c.RedirectURIs[0]) {
		return "localhost"
	}
	u, err := url.Parse(c.RedirectURIs[0])
	if err != nil {
		return ""
	}
	return strings.ToLower(u.Hostname())
}
