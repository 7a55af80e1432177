package admin

import (
	"context"
	"strings"
	"time"

	"gatehouse/internal/audit"
	"gatehouse/internal/jose"
)

// Keys is what looking after signing keys needs from a database.
type Keys interface {
	// SigningKeys returns the keys, oldest first.
	SigningKeys(ctx context.Context) ([]jose.StoredKey, error)
	// RotateSigningKey stores k, and ends the publication of the other keys of
	// its algorithm at retire, Unix seconds.
	RotateSigningKey(ctx context.Context, k jose.StoredKey, retire int64) error
}

// Rotation says how long a new key is published before it signs, and an old one
// after it signed last, so that no request fails.
type Rotation struct{ PublishBefore, KeepAfter time.Duration }

// plan is when the new key of a rotation signs from, and the old ones are
// published until.
func (r Rotation) plan(compromised bool, now time.Time) (signsFrom, retire time.Time) {
	if compromised {
		return now, now
	}
	return now.Add(r.PublishBefore), now.Add(r.PublishBefore + r.KeepAfter)
}

// RotateKey adds a key that will sign in place of the others of its algorithm,
// one of those that there are. Running servers take part without a restart: the
// key is published at once and signs after Rotation.PublishBefore. If the old
// key is compromised there is no such grace: the new one signs at once, the old
// one is published no more, and APIs refuse what it signed as soon as they fetch
// the key set again.
func (a *Acts) RotateKey(ctx context.Context, by Actor, algorithm string, compromised bool, reason string) (key jose.StoredKey, entry string, err error) {
	if strings.TrimSpace(reason) == "" {
		return key, "", refuse("a reason is missing; say in a few words why")
	}
	if algorithm != jose.ES256 && algorithm != jose.RS256 {
		return key, "", refuse("%.20q is no algorithm that keys here have; choose ES256 or RS256", algorithm)
	}
	now := time.Now()
	if key, err = jose.NewStoredKey(algorithm, now.Unix()); err != nil {
		return key, "", err
	}
	signsFrom, retire := a.Rotation.plan(compromised, now)
	key.SignsFrom = signsFrom.Unix()
	how := "signing key rotated"
	if compromised {
		how = "signing key replaced at once"
	}
	e := audit.Entry{Detail: map[string]string{"kid": key.KeyID, "alg": algorithm}}
	entry, err = a.record(ctx, by, how, reason, e, func() error { return a.Keys.RotateSigningKey(ctx, key, retire.Unix()) })
	key.Private = nil
	return key, entry, err
}
