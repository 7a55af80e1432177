package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gatehouse/internal/admin"
	"gatehouse/internal/authserver"
	"gatehouse/internal/catalog"
	"gatehouse/internal/jose"
)

// gatewayID is the client that the gateway authenticates as.
const gatewayID = "gateway"

// ensureSigningKeys creates the keys that sign tokens for APIs on first start,
// one for each algorithm that an API asks for. They live in the store, so that
// every replica has them; when two start at once the first one's key is
// everyone's.
func (a *App) ensureSigningKeys(ctx context.Context, apis []*catalog.API) error {
	keys, err := a.store.SigningKeys(ctx)
	if err != nil {
		return err
	}
	have := map[string]bool{}
	for _, k := range keys {
		have[k.Algorithm] = true
	}
	wanted := []string{jose.ES256} // which signs introspection answers, too
	for _, api := range apis {
		wanted = append(wanted, api.SigningAlgorithm)
	}
	for _, algorithm := range wanted {
		if have[algorithm] {
			continue
		}
		record, err := jose.NewStoredKey(algorithm, time.Now().Unix())
		if err != nil {
			return err
		}
		if _, err := a.store.AddFirstSigningKey(ctx, record); err != nil {
			return err
		}
		have[algorithm] = true
	}
	return nil
}

// loadSigningKeys reads the keys for the authorization server's keyring.
func (a *App) loadSigningKeys(ctx context.Context) ([]authserver.SigningKey, error) {
	stored, err := a.store.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	var keys []authserver.SigningKey
	for _, k := range stored {
		key, err := jose.ParsePrivate(k.Private)
		if err != nil {
			return nil, err
		}
		keys = append(keys, authserver.SigningKey{Key: key, SignsFrom: k.SignsFrom, PublishedUntil: k.PublishedUntil})
	}
	return keys, nil
}

// KeyLine is a signing key as an operator sees it. Times are Unix seconds.
type KeyLine struct {
	KeyID          string `json:"kid"`
	Algorithm      string `json:"alg"`
	CreatedAt      int64  `json:"created_at"`
	SignsFrom      int64  `json:"signs_from"`
	PublishedUntil int64  `json:"published_until,omitempty"`
}

// Keys lists the signing keys, oldest first.
func Keys(ctx context.Context, cfg Config) (_ []KeyLine, err error) {
	db, err := OpenStore(ctx, cfg, Options{})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	stored, err := db.SigningKeys(ctx)
	if err != nil {
		return nil, err
	}
	var lines []KeyLine
	for _, k := range stored {
		lines = append(lines, KeyLine{k.KeyID, k.Algorithm, k.CreatedAt, k.SignsFrom, k.PublishedUntil})
	}
	return lines, nil
}

// RotateKey replaces the signing key of an algorithm; see admin.Acts.RotateKey.
func RotateKey(ctx context.Context, cfg Config, algorithm string, compromised bool, reason string) (line KeyLine, err error) {
	err = inActs(ctx, cfg, "rotate the "+algorithm+" key", func(acts *admin.Acts) error {
		key, _, err := acts.RotateKey(ctx, terminal(), algorithm, compromised, reason)
		line = KeyLine{key.KeyID, key.Algorithm, key.CreatedAt, key.SignsFrom, 0}
		return err
	})
	return line, err
}

// readKey reads a private key that must be readable by this user alone. The
// error is fs.ErrNotExist if there is none.
func readKey(path string) (jose.Key, error) {
	if info, err := os.Stat(path); err == nil && info.Mode().Perm()&0o077 != 0 {
		return jose.Key{}, fmt.Errorf("the gateway's key %s can be read by others (mode %o); chmod 600 it, or replace it if somebody may have", path, info.Mode().Perm())
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return jose.Key{}, fmt.Errorf("read the gateway's key: %w", err)
	}
	key, err := jose.ParsePrivate(data)
	if err != nil {
		return jose.Key{}, fmt.Errorf("read the gateway's key %s: %w; remove or replace the file", path, err)
	}
	return key, nil
}

// gatewayKey returns the gateway's own key: the configured one, else one that is
// created on first start in the data folder, readable by this user alone.
func (a *App) gatewayKey() (jose.Key, error) {
	if peer := a.config.Peers.AuthServer; peer != nil && peer.Key != "" && a.config.alone() {
		return readKey(a.config.Path(strings.TrimPrefix(peer.Key, "file:")))
	}
	path := filepath.Join(a.config.Path(a.config.Data), "gateway.jwk")
	key, err := readKey(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return key, err
	}
	if key, err = jose.Generate("ES256"); err != nil {
		return jose.Key{}, err
	}
	data, err := key.MarshalPrivate()
	if err != nil {
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
