package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"gatehouse/internal/client"
	"gatehouse/internal/jose"
	"gatehouse/internal/oauth"
	"gatehouse/internal/sqlstore"
)

// gatewayID is the client that the gateway authenticates as.
const gatewayID = "gateway"

// signingKey returns the key that signs tokens for APIs, created on first
// start. It lives in the store, so that every replica has it; when two start
// at once the first one's key is everyone's.
func (a *App) signingKey(ctx context.Context) (jose.Key, error) {
	keys, err := a.store.SigningKeys(ctx)
	if err != nil {
		return jose.Key{}, err
	}
	if len(keys) > 0 {
		return jose.ParsePrivate(keys[0].Private)
	}
	fresh, err := jose.Generate("ES256")
	if err != nil {
		return jose.Key{}, err
	}
	private, err := fresh.MarshalPrivate()
	if err != nil {
		return jose.Key{}, err
	}
	kept, err := a.store.AddFirstSigningKey(ctx, sqlstore.Key{
		KeyID: fresh.KeyID, Algorithm: fresh.Algorithm, Private: private, CreatedAt: time.Now().Unix(),
	})
	if err != nil {
		return jose.Key{}, err
	}
	return jose.ParsePrivate(kept.Private)
}

// gatewayKey returns the gateway's own key, created on first start in the data
// folder, readable by this user alone.
func (a *App) gatewayKey() (jose.Key, error) {
	path := filepath.Join(a.config.Path(a.config.Data), "gateway.jwk")
	data, err := os.ReadFile(path)
	switch {
	case err == nil:
		key, err := jose.ParsePrivate(data)
		if err != nil {
			return jose.Key{}, fmt.Errorf("read the gateway's key %s: %w; remove the file to make a new one", path, err)
		}
		return key, nil
	case !errors.Is(err, fs.ErrNotExist):
		return jose.Key{}, fmt.Errorf("read the gateway's key: %w", err)
	}
	key, err := jose.Generate("ES256")
	if err != nil {
		return jose.Key{}, err
	}
	if data, err = key.MarshalPrivate(); err != nil {
		return jose.Key{}, err
	}
	// O_EXCL: of two processes that start at once one fails instead of both
	// believing that theirs is the key.
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return jose.Key{}, fmt.Errorf("create the gateway's key: %w", err)
	}
	_, err = f.Write(data)
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return jose.Key{}, fmt.Errorf("write the gateway's key %s: %w", path, err)
	}
	return key, nil
}

// registerGateway makes the gateway's public key known to the authorization
// server: it may exchange and introspect, and nothing else (security.md 7).
func (a *App) registerGateway(ctx context.Context, key jose.Key) error {
	return a.store.PutClient(ctx, client.Client{
		ID: gatewayID, Origin: client.Gateway, Name: "MCP gateway of this installation",
		GrantTypes: []string{oauth.GrantTokenExchange}, AuthMethod: oauth.AuthPrivateKey,
		Keys: jose.PublicSet(key), CreatedAt: time.Now().Unix(),
	})
}
