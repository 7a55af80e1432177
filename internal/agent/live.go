package agent

import (
	"context"
	"errors"
	"sync"
)

// live is a turn that goes on, as pages see it. What is added or changed is
// written to the store first; words of the model that is speaking only when it
// has spoken.
type live struct {
	ctx     context.Context // ends when the turn is stopped
	cancel  context.CancelFunc
	store   store
	chat    string
	server  string
	account string

	mu      sync.Mutex
	entries []entry
	next    int // number of the next entry
	version int
	changed chan struct{} // closed at the next change
	over    bool

	waiting int    // entry that waits for a person's click; 0 none
	address string // of the authorization page that entry offered leads to
	offered int
	clicked chan string
}

// notify is called with mu held.
func (l *live) notify() {
	close(l.changed)
	l.changed = make(chan struct{})
}

// add appends an entry and returns its number.
func (l *live) add(ctx context.Context, e entry) (n int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	e.N = l.next
	if err := l.store.putEntry(ctx, l.chat, e); err != nil {
		return 0, err
	}
	l.next++
	l.version++
	e.version = l.version
	l.entries = append(l.entries, e)
	l.notify()
	return e.N, nil
}

// change changes an entry of this turn.
func (l *live) change(ctx context.Context, n int, do func(*entry)) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.entries {
		if l.entries[i].N != n {
			continue
		}
		e := l.entries[i]
		do(&e)
		if err := l.store.putEntry(ctx, l.chat, e); err != nil {
			return err
		}
		l.version++
		e.version = l.version
		l.entries[i] = e
		l.notify()
		return nil
	}
	return errUnknown
}

// say shows what the model said so far.
func (l *live) say(n int, text string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for i := range l.entries {
		if l.entries[i].N == n {
			l.version++
			l.entries[i].Text, l.entries[i].version = text, l.version
			l.notify()
		}
	}
}

func (l *live) entry(n int) entry {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.N == n {
			return e
		}
	}
	return entry{}
}

func (l *live) all() []entry {
	entries, _, _ := l.since(0)
	return entries
}

// since returns what changed after a version, and when to look again.
func (l *live) since(version int) (entries []entry, now int, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.version > version {
			entries = append(entries, e)
		}
	}
	return entries, l.version, l.changed
}

// wait waits for the person's click on an entry.
func (l *live) wait(ctx context.Context, n int) (action string, err error) {
	clicked := make(chan string, 1)
	l.mu.Lock()
	l.waiting, l.clicked = n, clicked
	l.touch(n)
	l.mu.Unlock()
	defer func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.clicked == clicked {
			l.waiting = 0
			l.touch(n)
		}
	}()
	select {
	case action := <-clicked:
		return action, nil
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// touch has an entry shown anew: its buttons came or went. mu is held.
func (l *live) touch(n int) {
	for i := range l.entries {
		if l.entries[i].N == n {
			l.version++
			l.entries[i].version = l.version
		}
	}
	l.notify()
}

// click takes a person's decision on an entry; one click counts.
func (l *live) click(n int, action string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n == 0 || l.waiting != n {
		return false
	}
	l.waiting = 0
	l.clicked <- action
	return true
}

// offer says where an entry leads the person; an empty address, nowhere.
func (l *live) offer(n int, address string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	before := l.offered
	l.offered, l.address = n, address
	l.touch(max(n, before))
}

func (l *live) leadsTo(n int) (address string, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.address, n != 0 && l.offered == n
}

// asks is which entry has buttons now.
func (l *live) asks() (waiting, offered int, over bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.waiting, l.offered, l.over
}

func (l *live) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over, l.waiting, l.offered = true, 0, 0
	l.notify()
}

// Limits of turns that go on at once.
const (
	maxLives        = 200
	maxLivesAccount = 4
)

var (
	errRunning = errors.New("a turn of this chat goes on already")
	errMany    = errors.New("too many turns go on at once")
)

// beginTurn makes a turn of a chat the one that goes on, and runs it.
func (s *Server) beginTurn(t *turn, next int) error {
	ctx, cancel := context.WithCancel(s.running)
	l := &live{ctx: ctx, cancel: cancel, store: s.store, chat: t.chat.ID, server: t.srv.ID, account: t.visit.ID, next: next, changed: make(chan struct{})}
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	own := 0
	for _, other := range s.shared.lives {
		if other.account == l.account {
			own++
		}
	}
	_, running := s.shared.lives[l.chat]
	var err error
	switch {
	case running:
		err = errRunning
	case own >= maxLivesAccount || len(s.shared.lives) >= maxLives:
		err = errMany
	case ctx.Err() != nil:
		err = ctx.Err()
	}
	if err == nil {
		err = t.begun()
	}
	if err != nil {
		cancel()
		return err
	}
	s.shared.lives[l.chat], t.live = l, l
	s.tasks.Go(func() {
		defer cancel()
		t.run(ctx)
		s.shared.mu.Lock()
		delete(s.shared.lives, l.chat)
		s.shared.mu.Unlock()
		l.end()
	})
	return nil
}

// live returns the turn of a chat that goes on, or nil.
func (s *Server) live(chat string) *live {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	return s.shared.lives[chat]
}

// endTurns stops the turns that fit.
func (s *Server) endTurns(fits func(*live) bool) {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	for _, l := range s.shared.lives {
		if fits(l) {
			l.cancel()
		}
	}
}
