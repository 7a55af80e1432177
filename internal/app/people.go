package app

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
	"gatehouse/internal/sqlstore"
)

// AddPerson creates an account with a password and claims, and returns its ID.
func AddPerson(ctx context.Context, cfg Config, name, password string, claims map[string]string) (_ string, err error) {
	db, err := OpenStore(ctx, cfg, Options{})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	normal, err := account.Normalize(name)
	if err != nil {
		return "", fmt.Errorf("add %q: %w", name, err)
	}
	hash, err := new(secret.Passwords).Hash(ctx, password)
	if err != nil {
		return "", err
	}
	a := account.Account{ID: secret.ID(), Name: normal, PasswordHash: hash, Claims: claims, CreatedAt: time.Now().Unix()}
	entry := audit.Entry{AccountID: a.ID, Reason: "person added from the terminal", Detail: map[string]string{"name": normal}}
	if err := recorded(ctx, db, entry, func() error { return db.AddAccount(ctx, a) }); err != nil {
		return "", fmt.Errorf("add %s: %w", normal, err)
	}
	return a.ID, nil
}

// NewClient is a client that an administrator creates.
type NewClient struct {
	Name         string
	RedirectURIs []string // for agents that people use
	Scopes       []string // for agents that act for themselves (client credentials)
	Public       bool     // no secret
}

// AddClient creates a client and returns its ID and secret, which is shown
// once and stored only as a hash.
func AddClient(ctx context.Context, cfg Config, n NewClient) (id, value string, err error) {
	c := client.Client{
		ID: secret.ID(), Origin: client.Administrated, Name: n.Name, RedirectURIs: n.RedirectURIs,
		AuthMethod: oauth.AuthBasic, Scope: oauth.FormatScope(n.Scopes), CreatedAt: time.Now().Unix(), ApplicationType: "web",
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
	if len(n.RedirectURIs) > 0 {
		c.GrantTypes, c.ResponseTypes = append(c.GrantTypes, oauth.GrantAuthorizationCode, oauth.GrantRefreshToken), []string{"code"}
	}
	if len(n.Scopes) > 0 {
		c.GrantTypes = append(c.GrantTypes, oauth.GrantClientCredentials)
	}
	switch {
	case len(c.GrantTypes) == 0:
		return "", "", errors.New("the client can do nothing: give it a redirect URI for people's consent, or scopes to act for itself")
	case n.Public && len(n.Scopes) > 0:
		return "", "", errors.New("a public client cannot act for itself; leave out --public or --scope")
	case n.Public:
		c.AuthMethod = oauth.AuthNone
	default:
		value = secret.New("ghs_")
		c.SecretHash = secret.Sum(value)
	}
	db, err := OpenStore(ctx, cfg, Options{})
	if err != nil {
		return "", "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	entry := audit.Entry{ClientID: c.ID, Reason: "client added from the terminal", Detail: map[string]string{"client_name": n.Name, "scope": c.Scope}}
	if err := recorded(ctx, db, entry, func() error { return db.AddClient(ctx, c) }); err != nil {
		return "", "", fmt.Errorf("add %s: %w", n.Name, err)
	}
	return c.ID, value, nil
}

// recorded performs an act of an administrator between its two audit entries:
// what cannot be recorded does not happen.
func recorded(ctx context.Context, db *sqlstore.DB, entry audit.Entry, act func() error) error {
	now := time.Now()
	entry.ID, entry.Time, entry.Kind, entry.Outcome = audit.NewID(now), now.UnixMilli(), audit.Admin, audit.Started
	if err := db.Append(ctx, entry); err != nil {
		return err
	}
	err := act()
	outcome, reason := audit.Done, entry.Reason
	if err != nil {
		outcome, reason = audit.Failed, err.Error()
	}
	return errors.Join(err, db.Finish(ctx, entry.ID, outcome, reason, entry.Detail))
}

// Migrate brings the database up to date.
func Migrate(ctx context.Context, cfg Config) error {
	db, err := OpenStore(ctx, cfg, Options{Migrate: true})
	if err != nil {
		return err
	}
	return db.Close()
}
