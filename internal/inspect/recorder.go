package inspect

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"gatehouse/internal/httpserver"
)

const (
	queued      = 1000            // messages that wait to be stored; more are dropped
	batch       = 200             // stored at once
	lookEvery   = 2 * time.Second // for switches
	maxFollowed = 5000            // tokens of which it is remembered whose they are
)

// Recorder takes messages from handlers and stores them, best effort: it never
// delays or fails what it tells of. Its fields are set before New's result is
// first used.
type Recorder struct {
	Store Sink
	// Everything is recorded in the demo; elsewhere only what a switch names.
	Everything bool
	// Scopes and Targets are those that exist here. Of others nothing is kept.
	Scopes, Targets []string
	// Failed, if set, is told when messages could not be stored, and nil when
	// that works again.
	Failed func(error)

	active atomic.Pointer[switches] // nil: nothing is recorded
	begun  atomic.Int64             // messages that are being served
	last   atomic.Int64             // time of the newest message
	queue  chan job
	salt   []byte

	mu       sync.Mutex
	followed map[[sha256.Size]byte]Keys
}

// switches are those that hold; everything without a set.
type switches struct{ clients, grants map[string]bool }

type job struct {
	message Message
	done    chan<- struct{} // in place of a message: closed when all before is stored
}

// New makes a recorder, which does nothing until Run runs.
func New(r *Recorder) *Recorder {
	r.queue = make(chan job, queued)
	r.salt = make([]byte, 16)
	_, _ = rand.Read(r.salt) // it never fails
	r.followed = map[[sha256.Size]byte]Keys{}
	if r.Everything {
		r.active.Store(&switches{})
	}
	return r
}

// Run stores what is recorded until ctx ends, and follows the switches.
func (r *Recorder) Run(ctx context.Context) {
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	r.follow(ctx)
	failing := false
	for {
		var err error
		select {
		case <-ctx.Done():
			return
		case <-look.C:
			err = r.follow(ctx)
		case j := <-r.queue:
			err = r.store(ctx, j)
		}
		if failed := err != nil; failed != failing && ctx.Err() == nil {
			failing = failed
			if r.Failed != nil {
				r.Failed(err)
			}
		}
	}
}

// follow reads which switches hold.
func (r *Recorder) follow(ctx context.Context) error {
	if r.Everything {
		return nil
	}
	list, err := r.Store.Switches(ctx, time.Now())
	if err != nil {
		r.active.Store(nil) // what may be recorded is not known
		return err
	}
	if len(list) == 0 {
		r.active.Store(nil)
		return nil
	}
	on := &switches{map[string]bool{}, map[string]bool{}}
	for _, s := range list {
		switch s.Subject {
		case "client":
			on.clients[s.ID] = true
		case "grant":
			on.grants[s.ID] = true
		}
	}
	r.active.Store(on)
	return nil
}

// store writes a message and those that wait behind it.
func (r *Recorder) store(ctx context.Context, first job) error {
	var list []Message
	var done []chan<- struct{}
	take := func(j job) {
		if j.done != nil {
			done = append(done, j.done)
			return
		}
		list = append(list, j.message)
	}
	take(first)
	for more := true; more && len(list) < batch; {
		select {
		case j := <-r.queue:
			take(j)
		default:
			more = false
		}
	}
	var err error
	if len(list) > 0 {
		err = r.Store.SaveMessages(ctx, list)
	}
	for _, d := range done {
		close(d)
	}
	return err
}

// keep queues a message that may be recorded.
func (r *Recorder) keep(m Message) {
	on := r.active.Load()
	if on == nil || on.clients != nil && !on.clients[m.ClientID] && !on.grants[m.GrantID] {
		return
	}
	if m.ClientID != "" {
		m.Peer = peerOf(m)
	}
	select {
	case r.queue <- job{message: m}:
	default: // more than can be stored; what is told of goes on
	}
}

// now is the time in microseconds, and later than that of any message before:
// what was begun first is told first.
func (r *Recorder) now() int64 {
	for {
		last := r.last.Load()
		now := max(time.Now().UnixMicro(), last+1)
		if r.last.CompareAndSwap(last, now) {
			return now
		}
	}
}

// peerOf keeps the peer of what a client sent, by which messages from before it
// said who it is are found; of a browser or gateway nothing is to be found.
func peerOf(m Message) string {
	if row, ok := rowOf(m.Kind); ok && row.from == Client {
		return m.Peer
	}
	return ""
}

// Begin begins a message that no role of ours receives, told by whoever sends
// it; End ends it.
func (r *Recorder) Begin(k Kind, method, host, path string) *Draft {
	if r == nil || r.active.Load() == nil {
		return nil
	}
	d := &Draft{recorder: r, message: Message{Time: r.now(), Method: method, Host: host}}
	d.Is(k, path)
	return d
}

// End hands over a message that Begin began, with its answer's status.
func (d *Draft) End(status int) {
	if d != nil {
		d.message.Status = status
		d.end()
	}
}

// Settle waits until what has been answered is stored, or ctx ends.
func (r *Recorder) Settle(ctx context.Context) error {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for r.begun.Load() > 0 {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	done := make(chan struct{})
	select {
	case r.queue <- job{done: done}:
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// attribute remembers whose a token is, and says whose message it is that
// presents one that is worth nothing any more.
func (r *Recorder) attribute(k *Keys, token string) {
	if !ours(token) {
		return
	}
	sum := sha256.Sum256([]byte(token))
	r.mu.Lock()
	defer r.mu.Unlock()
	if k.GrantID == "" {
		if found, ok := r.followed[sum]; ok {
			k.ClientID, k.GrantID, k.AccountID = found.ClientID, found.GrantID, found.AccountID
		}
		return
	}
	if len(r.followed) >= maxFollowed {
		clear(r.followed)
	}
	r.followed[sum] = *k
}

// Follow says whose an access token is, when it is issued.
func (d *Draft) Follow(token string) {
	if d != nil {
		d.recorder.attribute(&d.message.Keys, token)
	}
}

// peer stands for the address and the program that a request comes from, by a
// hash that says nothing after the process has ended.
func (r *Recorder) peer(req *http.Request) string {
	mac := hmac.New(sha256.New, r.salt)
	mac.Write([]byte(httpserver.ClientKey(httpserver.ClientAddr(req)) + "\x00" + req.UserAgent()))
	return hex.EncodeToString(mac.Sum(nil)[:8])
}
