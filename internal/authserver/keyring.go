package authserver

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"gatehouse/internal/jose"
)

// Times of a rotation. A new key is published for PublishBefore before it
// signs, longer than verifiers keep a key set, so that none meets a signature
// by a key it does not know; an old one is published for KeepAfter after it
// signed last, longer than what it signed lives. So no request fails.
const (
	PublishBefore = 10 * time.Minute
	KeepAfter     = 10 * time.Minute
	keyReload     = 5 * time.Second // how old what is known of the keys may be
)

// SigningKey is a key and when it is used, in Unix seconds.
type SigningKey struct {
	Key            jose.Key
	SignsFrom      int64
	PublishedUntil int64 // 0: no end is known
}

// Keyring holds the signing keys and follows their rotation, which another
// process may have begun. Load is set before the first use; then it is safe
// for concurrent use.
type Keyring struct {
	Load func(context.Context) ([]SigningKey, error)

	mu      sync.Mutex
	loaded  time.Time
	keys    []SigningKey
	signers map[string]*jose.Signer // by key ID
}

// errNoKey means that no key of an algorithm signs now.
var errNoKey = errors.New("there is no signing key of this algorithm")

// Sign signs claims with the newest key of an algorithm that may sign now.
func (k *Keyring) Sign(ctx context.Context, algorithm, typ string, claims any) (string, error) {
	signer, err := k.signer(ctx, algorithm)
	if err != nil {
		return "", fmt.Errorf("sign with %s: %w", algorithm, err)
	}
	return signer.Sign(typ, claims)
}

// Set returns the JWK set of the keys that are published now.
func (k *Keyring) Set(ctx context.Context) ([]byte, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if err := k.refresh(ctx, now); err != nil {
		return nil, err
	}
	var published []jose.Key
	for _, key := range k.keys {
		if key.PublishedUntil == 0 || now.Unix() < key.PublishedUntil {
			published = append(published, key.Key)
		}
	}
	return jose.PublicSet(published...), nil
}

func (k *Keyring) signer(ctx context.Context, algorithm string) (*jose.Signer, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if err := k.refresh(ctx, now); err != nil {
		return nil, err
	}
	var newest SigningKey
	for _, key := range k.keys {
		signs := key.SignsFrom <= now.Unix() && (key.PublishedUntil == 0 || now.Unix() < key.PublishedUntil)
		if signs && key.Key.Algorithm == algorithm && (newest.Key.KeyID == "" || key.SignsFrom >= newest.SignsFrom) {
			newest = key
		}
	}
	signer, ok := k.signers[newest.Key.KeyID]
	if !ok {
		return nil, errNoKey
	}
	return signer, nil
}

// refresh loads the keys again if what is known of them is too old. Its caller
// holds the lock: whoever comes meanwhile waits for the same answer.
func (k *Keyring) refresh(ctx context.Context, now time.Time) error {
	if k.signers != nil && now.Sub(k.loaded) < keyReload {
		return nil
	}
	keys, err := k.Load(context.WithoutCancel(ctx))
	if err != nil {
		return fmt.Errorf("load the signing keys: %w", err)
	}
	signers := map[string]*jose.Signer{}
	for _, key := range keys {
		signer, known := k.signers[key.Key.KeyID]
		if !known {
			if signer, err = jose.NewSigner(key.Key); err != nil {
				return fmt.Errorf("load the signing keys: %w", err)
			}
		}
		signers[key.Key.KeyID] = signer
	}
	k.keys, k.signers, k.loaded = keys, signers, now
	return nil
}
