package jose

import "log/slog"

// StoredKey is a signing key as an installation keeps it, and when it is used.
type StoredKey struct {
	KeyID     string
	Algorithm string
	Private   []byte // JWK (RFC 7517)
	CreatedAt int64  // Unix seconds
	// SignsFrom is when it begins to sign, PublishedUntil when its public half
	// leaves the key set; 0 means not yet known. Unix seconds.
	SignsFrom, PublishedUntil int64
}

// LogValue keeps the private half out of logs.
func (k StoredKey) LogValue() slog.Value { return slog.StringValue("redacted") }

// NewStoredKey makes a key that signs from now on, in Unix seconds.
func NewStoredKey(algorithm string, now int64) (StoredKey, error) {
	fresh, err := Generate(algorithm)
	if err != nil {
		return StoredKey{}, err
	}
	private, err := fresh.MarshalPrivate()
	if err != nil {
		return StoredKey{}, err
	}
	return StoredKey{KeyID: fresh.KeyID, Algorithm: fresh.Algorithm, Private: private, CreatedAt: now, SignsFrom: now}, nil
}
