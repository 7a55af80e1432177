package app

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
)

// NewClient is a client that an administrator creates. At most one of Public,
// Secret, Workload, Keys and KeysURL says how it proves who it is.
type NewClient struct {
	ID           string // that rules and people name it by; empty: one is made up
	Name         string
	RedirectURIs []string          // for agents that people use
	Scopes       []string          // for agents that act for themselves
	Claims       map[string]string // that APIs may be told where it acts for itself
	Public       bool              // it cannot prove anything
	Secret       bool              // a shared secret, for what takes no key
	IDJAG        bool              // an identity provider may speak for people through it (trust)
	Workload     bool              // the platform that it runs on vouches for it (trust)
	Keys         []byte            // its public keys: a JWK set, a JWK, or PEM
	KeysURL      string            // where it publishes them, as a JWK set
}

var clientID = regexp.MustCompile(`^[a-z][a-z0-9._-]{0,62}$`)

// credential makes c authenticate as n says, and returns the secret if there is
// one.
func (n NewClient) credential(cfg *Config, c *client.Client) (value string, err error) {
	ways := 0
	for _, set := range []bool{n.Public, n.Secret, n.Workload, n.Keys != nil, n.KeysURL != ""} {
		if set {
			ways++
		}
	}
	itself := len(n.Scopes) > 0
	switch {
	case ways > 1:
		return "", errors.New("name one way only by which the client proves who it is")
	case n.Public && itself:
		return "", errors.New("a public client cannot act for itself; leave out --public or --scope")
	case itself && ways == 0:
		return "", errors.New("say how the client proves who it is: --key or --keys-url for a key of its own, --workload where the platform that it runs on vouches for it, --secret if it can do nothing better")
	case n.Workload && len(n.RedirectURIs) > 0:
		return "", errors.New("a workload has no credential for what people allow it; add another client for that, or give it --key")
	case n.Workload && !itself:
		return "", errors.New("a workload acts for itself; name what it may do with --scope")
	case n.Public:
		c.AuthMethod = oauth.AuthNone
	case n.Workload:
		c.AuthMethod, c.GrantTypes = client.AuthWorkload, append(c.GrantTypes, oauth.GrantJWTBearer)
	case n.Keys != nil:
		c.AuthMethod = oauth.AuthPrivateKey
		c.Keys, err = jose.ReadPublicSet(n.Keys)
	case n.KeysURL != "":
		c.AuthMethod, c.KeysURI = oauth.AuthPrivateKey, n.KeysURL
		if cfg.Documents.Accept == "none" {
			return "", errors.New("keys at an address are fetched as documents are, and documents.accept is none; give --key, or accept documents")
		}
		err = client.CheckDocumentID(n.KeysURL)
	default:
		value, c.AuthMethod = secret.New("ghs_"), oauth.AuthBasic
		c.SecretHash = secret.Sum(value)
	}
	return value, err
}

// AddClient creates a client and returns its ID and, if it has one, the secret,
// which is shown once and stored only as a hash.
func AddClient(ctx context.Context, cfg Config, n NewClient) (id, value string, err error) {
	c := client.Client{
		ID: n.ID, Origin: client.Administrated, Name: n.Name, RedirectURIs: n.RedirectURIs, Claims: n.Claims,
		Scope: oauth.FormatScope(n.Scopes), CreatedAt: time.Now().Unix(), ApplicationType: "web",
	}
	if c.ID == "" {
		c.ID = secret.ID()
	} else if !clientID.MatchString(c.ID) {
		return "", "", fmt.Errorf("%.100q is no ID: lower-case letters, digits, dots, hyphens and underscores, beginning with a letter", c.ID)
	}
	if strings.TrimSpace(n.Name) == "" {
		return "", "", errors.New("the client has no name; give it one that people recognise")
	}
	for _, s := range n.Scopes {
		if !oauth.ValidScopeToken(s) {
			return "", "", fmt.Errorf("%q is no scope; name one that `gatehouse tools` shows, such as orders:read", s)
		}
	}
	for _, uri := range n.RedirectURIs {
		if err := client.CheckRedirect(uri, cfg.DevelopmentHTTP); err != nil {
			return "", "", fmt.Errorf("redirect URI %s: %w", uri, err)
		}
		if client.IsLoopback(uri) {
			c.ApplicationType = "native"
		}
	}
	if err := account.CheckClaims(n.Claims); err != nil {
		return "", "", fmt.Errorf("these are %w", err)
	}
	if len(n.RedirectURIs) > 0 {
		c.GrantTypes, c.ResponseTypes = append(c.GrantTypes, oauth.GrantAuthorizationCode, oauth.GrantRefreshToken), []string{"code"}
	}
	if len(n.Scopes) > 0 && !n.Workload {
		c.GrantTypes = append(c.GrantTypes, oauth.GrantClientCredentials)
	}
	if n.IDJAG {
		if n.Public || n.Workload {
			return "", "", errors.New("an ID-JAG is taken from a client that proves who it is; give it --key, --keys-url or --secret")
		}
		c.GrantTypes = append(c.GrantTypes, oauth.GrantJWTBearer)
	}
	if len(c.GrantTypes) == 0 && !n.Workload {
		return "", "", errors.New("the client can do nothing: give it a redirect URI for people's consent, or scopes to act for itself")
	}
	if value, err = n.credential(&cfg, &c); err != nil {
		return "", "", err
	}
	db, err := OpenStore(ctx, cfg, Options{})
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	entry := audit.Entry{ClientID: c.ID, Reason: "client added from the terminal", Detail: map[string]string{"client_name": n.Name, "scope": c.Scope, "token_endpoint_auth_method": c.AuthMethod}}
	if err := recorded(ctx, db, entry, func() error { return db.AddClient(ctx, c) }); err != nil {
		return "", "", fmt.Errorf("add %s: %w", n.Name, err)
	}
	return c.ID, value, nil
}
