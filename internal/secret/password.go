package secret

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/crypto/argon2"
)

// Cost of one argon2id hash: OWASP's recommended 19 MiB, two passes, one lane.
const (
	argonMemory = 19 * 1024 // KiB
	argonTime   = 2
	argonLanes  = 1
	saltBytes   = 16
	keyBytes    = 32

	// MaxPassword bounds what a person may choose, in bytes.
	MaxPassword = 1024
)

// ErrBusy means that as many passwords are being checked as the pool allows
// and its queue is full. The caller answers "try again shortly".
var ErrBusy = errors.New("password checks are at their limit")

// Passwords hashes what people choose with argon2id. Its pool bounds memory:
// at most Workers hashes at a time, at most Queue callers waiting. The zero
// value is usable. Safe for concurrent use.
type Passwords struct {
	Workers int // hashes at a time; default 2
	Queue   int // callers waiting; default 64

	once  sync.Once
	slots chan struct{}
	line  chan struct{}
}

func (p *Passwords) enter(ctx context.Context) (leave func(), err error) {
	p.once.Do(func() {
		workers, queue := p.Workers, p.Queue
		if workers <= 0 {
			workers = 2
		}
		if queue <= 0 {
			queue = 64
		}
		p.slots = make(chan struct{}, workers)
		p.line = make(chan struct{}, workers+queue)
	})
	select {
	case p.line <- struct{}{}:
	default:
		return nil, ErrBusy
	}
	select {
	case p.slots <- struct{}{}:
		return func() { <-p.slots; <-p.line }, nil
	case <-ctx.Done():
		<-p.line
		return nil, ctx.Err()
	}
}

// Hash returns the encoded argon2id hash of password (PHC string format).
// It fails with ErrBusy, with ctx's error, or if password is too long.
func (p *Passwords) Hash(ctx context.Context, password string) (string, error) {
	if len(password) > MaxPassword {
		return "", fmt.Errorf("password has more than %d bytes; choose a shorter one", MaxPassword)
	}
	leave, err := p.enter(ctx)
	if err != nil {
		return "", err
	}
	defer leave()
	salt := make([]byte, saltBytes)
	rand.Read(salt)
	key := argon2.IDKey([]byte(password), salt, argonTime, argonMemory, argonLanes, keyBytes)
	return fmt.Sprintf("$argon2id$v=%d$m=%d,t=%d,p=%d$%s$%s", argon2.Version, argonMemory, argonTime, argonLanes,
		base64.RawStdEncoding.EncodeToString(salt), base64.RawStdEncoding.EncodeToString(key)), nil
}

// Verify reports whether password is the one that encoded was made from. With
// an empty or unreadable encoded it does the same work and answers false, so
// that the time of an answer does not tell which accounts exist.
func (p *Passwords) Verify(ctx context.Context, encoded, password string) (bool, error) {
	h, known := parsePHC(encoded)
	if len(password) > MaxPassword {
		password, known = password[:MaxPassword], false
	}
	leave, err := p.enter(ctx)
	if err != nil {
		return false, err
	}
	defer leave()
	key := argon2.IDKey([]byte(password), h.salt, h.time, h.memory, h.lanes, uint32(len(h.key)))
	match := subtle.ConstantTimeCompare(key, h.key) == 1
	return match && known, nil
}

type phc struct {
	memory, time uint32
	lanes        uint8
	salt, key    []byte
}

// parsePHC reads an encoded hash; what it cannot read becomes a hash of the
// usual cost that nothing matches.
func parsePHC(encoded string) (phc, bool) {
	none := phc{memory: argonMemory, time: argonTime, lanes: argonLanes, salt: make([]byte, saltBytes), key: make([]byte, keyBytes)}
	parts := strings.Split(encoded, "$")
	if len(parts) != 6 || parts[1] != "argon2id" {
		return none, false
	}
	var version int
	var h phc
	if _, err := fmt.Sscanf(parts[2], "v=%d", &version); err != nil || version != argon2.Version {
		return none, false
	}
	if _, err := fmt.Sscanf(parts[3], "m=%d,t=%d,p=%d", &h.memory, &h.time, &h.lanes); err != nil {
		return none, false
	}
	// Bounds keep a tampered row from becoming a way to exhaust memory.
	if h.memory > 1<<20 || h.time == 0 || h.time > 16 || h.lanes == 0 {
		return none, false
	}
	var err error
	if h.salt, err = base64.RawStdEncoding.DecodeString(parts[4]); err != nil {
		return none, false
	}
	if h.key, err = base64.RawStdEncoding.DecodeString(parts[5]); err != nil || len(h.key) < 16 {
		return none, false
	}
	return h, true
}
