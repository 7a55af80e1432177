package revocation_test

import (
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const (
	promise  = time.Second           // after which nothing that was revoked works
	interval = 10 * time.Millisecond // 100 calls a second
	patience = 60 * time.Second      // with a slow machine
	together = 6                     // trials at one time
)

// call is one call of a token.
type call struct {
	began, ended time.Time
	err          error
}

// use calls with one token at one gateway, again and again, until it is stopped.
type use struct {
	gateway int
	stop    chan struct{}
	done    chan struct{}

	mu    sync.Mutex
	calls []call
	grown *sync.Cond
}

// begin calls 100 times a second, or as often as the machine manages.
func begin(gateway int, g gatewayProcess, token string) *use {
	return beginEach(interval, gateway, func() error { return g.call(token) })
}

func beginEach(interval time.Duration, gateway int, do func() error) *use {
	u := &use{gateway: gateway, stop: make(chan struct{}), done: make(chan struct{})}
	u.grown = sync.NewCond(&u.mu)
	go func() {
		defer close(u.done)
		tick := time.NewTicker(interval)
		defer tick.Stop()
		for {
			select {
			case <-u.stop:
				return
			case <-tick.C:
			}
			c := call{began: time.Now()}
			c.err = do()
			c.ended = time.Now()
			u.mu.Lock()
			u.calls = append(u.calls, c)
			u.grown.Broadcast()
			u.mu.Unlock()
		}
	}()
	return u
}

// await waits until n calls that began after a time meet a condition.
func (u *use) await(t *testing.T, what string, n int, after time.Time, meets func(call) bool) {
	t.Helper()
	deadline := time.Now().Add(patience)
	defer time.AfterFunc(patience, u.grown.Broadcast).Stop()
	u.mu.Lock()
	defer u.mu.Unlock()
	for seen := 0; ; u.grown.Wait() {
		for ; seen < len(u.calls); seen++ {
			if c := u.calls[seen]; !c.began.Before(after) && meets(c) {
				n--
			}
		}
		if n <= 0 {
			return
		}
		if !time.Now().Before(deadline) {
			t.Errorf("gateway %d: %s: %d calls are missing; the last: %+v", u.gateway, what, n, u.calls[max(0, len(u.calls)-1):])
			return
		}
	}
}

func (u *use) end() []call {
	select {
	case <-u.stop:
	default:
		close(u.stop)
	}
	<-u.done
	return u.calls
}

func succeeded(c call) bool { return c.err == nil }
func ended(call) bool       { return true }

// trial is one revocation of tokens in use.
type trial struct {
	name    string
	victims []string // tokens that it ends
	others  []string // that it must leave alone
	revoke  func()   // returns once it is acknowledged
}

// figures are what all trials together saw.
type figures struct {
	calls atomic.Int64
	mu    sync.Mutex
	last  time.Duration // the longest after an acknowledgement that a call which succeeded began
}

func (f *figures) run(t *testing.T, gateways []gatewayProcess, tr trial) {
	t.Helper()
	var victims, others []*use
	for i, g := range gateways {
		for _, token := range tr.victims {
			victims = append(victims, begin(i, g, token))
		}
		for _, token := range tr.others {
			others = append(others, begin(i, g, token))
		}
	}
	for _, u := range append(victims, others...) {
		u.await(t, tr.name+" before it was revoked", 10, time.Time{}, succeeded)
	}
	asked := time.Now()
	tr.revoke()
	acknowledged := time.Now()
	for _, u := range append(victims, others...) {
		u.await(t, tr.name+" after it was revoked", 10, acknowledged.Add(promise), ended)
	}
	for _, u := range others {
		f.unharmed(t, tr.name, u)
	}
	for _, u := range victims {
		calls := u.end()
		f.calls.Add(int64(len(calls)))
		for _, c := range calls {
			since := c.began.Sub(acknowledged)
			switch {
			case c.err != nil && c.ended.Before(asked):
				t.Errorf("%s: a call at gateway %d failed before it was revoked: %v", tr.name, u.gateway, c.err)
			case c.err == nil && since >= promise:
				t.Errorf("%s: a call at gateway %d began %v after the revocation was acknowledged, and succeeded", tr.name, u.gateway, since)
			case c.err == nil:
				f.mu.Lock()
				f.last = max(f.last, since)
				f.mu.Unlock()
			}
		}
	}
}

func (f *figures) unharmed(t *testing.T, name string, u *use) {
	t.Helper()
	calls := u.end()
	f.calls.Add(int64(len(calls)))
	for _, c := range calls {
		if c.err != nil {
			t.Errorf("%s: a call at gateway %d with a token that nobody revoked failed: %v", name, u.gateway, c.err)
		}
	}
}

// security.md 10, 11, R-RS-6; the proving attack "revoked token at a second
// gateway": two gateway processes, tokens in use at both a hundred times a
// second, revoked by token (5 times), grant (100), client (5) and account (5).
// No call that begins a second after the acknowledgement succeeds, and no call
// with another token fails.
func TestRevokedTokensFallEverywhereWithinASecond(t *testing.T) {
	w := newWorld(t)
	gateways := []gatewayProcess{w.gateway("gateway-1"), w.gateway("gateway-2")}
	var f figures
	for _, name := range []string{"alice", "bob"} {
		w.person(name)
	}
	w.client("desk")
	unrelated := w.allow("unrelated", "bob", "desk")
	server := caller(t, w.address)
	trials := w.trials(server) // hundreds of writes, which no call has to wait for
	bystanders := []*use{begin(0, gateways[0], unrelated), begin(1, gateways[1], unrelated)}

	var running sync.WaitGroup
	slots := make(chan struct{}, together)
	for i, tr := range trials {
		slots <- struct{}{}
		running.Go(func() {
			defer func() { <-slots }()
			time.Sleep(time.Duration(i%together) * 50 * time.Millisecond) // in different phases of one another
			f.run(t, gateways, tr)
		})
	}
	running.Wait()
	for _, u := range bystanders {
		f.unharmed(t, "somebody else's grant", u)
	}
	t.Logf("%d calls; the last that succeeded began %v after its revocation was acknowledged", f.calls.Load(), f.last)
}

// trials are all revocations of the test, mixed.
func (w *world) trials(server *http.Client) []trial {
	var list []trial
	reason := []string{"--reason", "test"}
	for i := range 100 {
		id := fmt.Sprint("grant-", i)
		w.client("client-of-" + id)
		list = append(list, trial{id, []string{w.allow(id, "alice", "client-of-"+id)}, nil, func() {
			w.run(append([]string{"grant", "end", id}, reason...)...)
		}})
		if i%20 != 0 {
			continue
		}
		n := fmt.Sprint(i / 20)
		w.client("token-client-" + n)
		token, sibling := w.allow("token-grant-"+n, "alice", "token-client-"+n), w.allow("unused", "alice", "token-client-"+n)
		list = append(list, trial{"token " + n, []string{token}, []string{sibling}, func() {
			resp, err := server.PostForm(issuer+"/revoke", url.Values{"client_id": {"token-client-" + n}, "token": {token}})
			if err != nil || resp.StatusCode != http.StatusOK {
				w.t.Errorf("revoke: %v %v", resp, err)
				return
			}
			_ = resp.Body.Close()
		}})
		w.client("client-" + n)
		list = append(list, trial{"client " + n, []string{
			w.allow("client-grant-a-"+n, "alice", "client-"+n), w.allow("client-grant-b-"+n, "bob", "client-"+n),
		}, nil, func() { w.run(append([]string{"client", "end", "client-" + n}, reason...)...) }})
		w.person("person-" + n)
		w.client("second-" + n)
		list = append(list, trial{"account " + n, []string{
			w.allow("person-grant-a-"+n, "person-"+n, "desk"), w.allow("person-grant-b-"+n, "person-"+n, "second-"+n),
		}, nil, func() { w.run(append([]string{"person", "end", "person-" + n}, reason...)...) }})
	}
	return list
}

// security.md 11: while a gateway is cut off from the authorization server, by
// connections that end or by silence, every call that begins a second later is
// refused; healed, calls go on, but not those of what was revoked meanwhile.
func TestGatewayThatIsCutOffRefuses(t *testing.T) {
	w := newWorld(t)
	gateways := []gatewayProcess{w.gateway("gateway-1"), w.gateway("gateway-2")}
	w.person("alice")
	for name, cut := range map[string]func(p *proxy){
		"ended":  func(p *proxy) { p.set(false, true) },
		"silent": func(p *proxy) { p.set(true, false) },
	} {
		t.Run(name, func(t *testing.T) {
			w.client("kept-" + name)
			w.client("ended-" + name)
			kept := w.allow("kept-"+name, "alice", "kept-"+name)
			tokens := []string{kept, w.allow("ended-"+name, "alice", "ended-"+name)}
			var uses []*use
			for _, token := range tokens {
				uses = append(uses, begin(0, gateways[0], token))
			}
			other := begin(1, gateways[1], kept)
			for _, u := range append(uses, other) {
				u.await(t, "before the cut", 20, time.Time{}, succeeded)
			}
			started := time.Now()
			cut(gateways[0].way)
			isCut := time.Now()
			w.run("grant", "end", "ended-"+name, "--reason", "while a gateway was away")
			acknowledged := time.Now()
			for _, u := range uses {
				u.await(t, "while it is cut off", 1, isCut.Add(promise), ended)
			}
			healed := time.Now()
			gateways[0].way.set(false, false)
			uses[0].await(t, "once it is healed", 20, healed, succeeded)
			uses[1].await(t, "once it is healed", 20, healed, ended)
			var f figures
			f.unharmed(t, "at the gateway that was not cut off", other)
			for _, c := range uses[0].end() {
				switch {
				case c.err != nil && c.ended.Before(started):
					t.Errorf("a call failed before the cut: %v", c.err)
				case c.err == nil && !c.began.Before(isCut.Add(promise)) && c.ended.Before(healed):
					t.Errorf("a call succeeded that began %v after the cut", c.began.Sub(isCut))
				}
			}
			for _, c := range uses[1].end() {
				if c.err == nil && !c.began.Before(acknowledged.Add(promise)) {
					t.Errorf("a call succeeded that began %v after its grant ended", c.began.Sub(acknowledged))
				}
			}
			if back := firstSuccess(uses[0].calls, healed); back > 5*time.Second {
				t.Logf("healed, the first call succeeded after %v", back)
			}
		})
	}
}

func firstSuccess(calls []call, after time.Time) time.Duration {
	for _, c := range calls {
		if c.err == nil && c.began.After(after) {
			return c.began.Sub(after)
		}
	}
	return 0
}
