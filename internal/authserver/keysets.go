package authserver

import (
	"crypto/sha256"
	"sync"

	"gatehouse/internal/jose"
)

// maxKeySets bounds how many key sets of clients are kept parsed. A client can
// fill it with its own only as fast as it may register.
const maxKeySets = 256

// keySets keeps key sets parsed, by the hash of their text, so that none is
// parsed for each request. What a client's text is now is read from the store
// each time: a client that changes its keys is verified by the new ones at once.
// The zero value is ready; it is safe for concurrent use.
type keySets struct {
	mu     sync.Mutex
	parsed map[[sha256.Size]byte]*jose.KeySet
}

// parse is jose.ParseKeySet.
func (k *keySets) parse(text []byte) (*jose.KeySet, error) {
	hash := sha256.Sum256(text)
	k.mu.Lock()
	set := k.parsed[hash]
	k.mu.Unlock()
	if set != nil {
		return set, nil
	}
	set, err := jose.ParseKeySet(text)
	if err != nil {
		return nil, err
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.parsed == nil || len(k.parsed) >= maxKeySets {
		k.parsed = map[[sha256.Size]byte]*jose.KeySet{}
	}
	k.parsed[hash] = set
	return set, nil
}
