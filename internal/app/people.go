package app

import (
	"context"
	"errors"
	"fmt"
	"time"

	"gatehouse/internal/account"
	"gatehouse/internal/audit"
	"gatehouse/internal/client"
	"gatehouse/internal/oauth"
	"gatehouse/internal/secret"
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
		return "", err
	}
	hash, err := new(secret.Passwords).Hash(ctx, password)
	if err != nil {
		return "", err
	}
	a := account.Account{ID: secret.ID(), Name: normal, PasswordHash: hash, Claims: claims, CreatedAt: time.Now().Unix()}
	if err := db.Append(ctx, audit.Entry{
		ID: secret.ID(), Time: time.Now().UnixMilli(), Kind: audit.Admin, Outcome: audit.Done, AccountID: a.ID,
		Reason: "person added from the terminal", Detail: map[string]string{"name": normal},
	}); err != nil {
		return "", err
	}
	if err := db.AddAccount(ctx, a); err != nil {
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
	for _, uri := range n.RedirectURIs {
		if err := client.CheckRedirect(uri, nil); err != nil {
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
	if err := db.Append(ctx, audit.Entry{
		ID: secret.ID(), Time: time.Now().UnixMilli(), Kind: audit.Admin, Outcome: audit.Done, ClientID: c.ID,
		Reason: "client added from the terminal", Detail: map[string]string{"client_name": n.Name, "scope": c.Scope},
	}); err != nil {
		return "", "", err
	}
	if err := db.AddClient(ctx, c); err != nil {
		return "", "", err
	}
	return c.ID, value, nil
}

// Migrate brings the database up to date.
func Migrate(ctx context.Context, cfg Config) error {
	db, err := OpenStore(ctx, cfg, Options{Migrate: true})
	if err != nil {
		return err
	}
	return db.Close()
}
