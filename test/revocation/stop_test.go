package revocation_test

import (
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

const (
	mailURL = gateURL + "/mail"
	// each of three agents calls at each of two gateways: 200 calls a second in sum
	pace = 30 * time.Millisecond
)

// agents are three that call all the time: two of one person at the bookshop,
// with a tool each, and one of another person at the mail.
type agents struct {
	id     string // what the names of all parties end with
	tokens [3]string
}

func (w *world) agents(id string) agents {
	w.t.Helper()
	a := agents{id: id}
	w.person("alice-" + id)
	w.person("bob-" + id)
	for i := range a.tokens {
		w.client(fmt.Sprintf("agent-%d-%s", i, id))
		person, resource, scope := "alice-"+id, gateURL, "books:read"
		if i == 2 {
			person, resource, scope = "bob-"+id, mailURL, "mail:read"
		}
		a.tokens[i] = w.allowAt(resource, scope, fmt.Sprintf("grant-%d-%s", i, id), person, fmt.Sprintf("agent-%d-%s", i, id))
	}
	return a
}

func (a agents) call(g gatewayProcess, agent int) error {
	switch agent {
	case 0:
		return g.callTool(gateURL, "list-books", a.tokens[agent])
	case 1:
		return g.callTool(gateURL, "list-authors", a.tokens[agent])
	}
	return g.callTool(mailURL, "list-mail", a.tokens[agent])
}

// stopping is one act on a subject and whom it stops, of the three agents.
type stopping struct {
	name    string
	victims int            // the first of the agents
	told    string         // is in what they are told
	stop    func(a agents) // returns once it is acknowledged
	resume  func(a agents) // nil: it is for good,
	reopen  func()         // and this opens it; nil: nothing is closed
}

// stoppings are all subjects of security.md 11 that a pause or an end can have;
// sessions end with their account.
func (w *world) stoppings(server *http.Client) (list []stopping) {
	because := []string{"--reason", "test"}
	on := func(verb string, what func(a agents) []string) func(a agents) {
		return func(a agents) { w.run(append(append(strings.Fields(verb), what(a)...), because...)...) }
	}
	just := func(args ...string) func(agents) []string { return func(agents) []string { return args } }
	named := func(flag, name string) func(agents) []string {
		return func(a agents) []string { return strings.Fields(flag + " " + name + a.id) }
	}
	for _, s := range []struct {
		subject string
		victims int
		what    func(a agents) []string
		told    string
	}{
		{"grant", 1, named("--grant", "grant-0-"), "401"},
		{"client", 1, named("--client", "agent-0-"), "401"},
		{"account", 2, named("--person", "alice-"), "401"},
		{"tool", 1, just("--tool", "books/list-books"), "unknown tool"},
		{"api", 2, just("--api", "books"), "An administrator has paused Bookshop"},
		{"everything", 3, just("--everything"), "401"},
	} {
		list = append(list, stopping{name: "pause " + s.subject, victims: s.victims, told: s.told, stop: on("pause", s.what), resume: on("resume", s.what)})
	}
	list = append(list,
		stopping{name: "end token", victims: 1, told: "401", stop: func(a agents) {
			resp, err := server.PostForm(issuer+"/revoke", url.Values{"client_id": {"agent-0-" + a.id}, "token": {a.tokens[0]}})
			if err != nil || resp.StatusCode != http.StatusOK {
				w.t.Errorf("revoke: %v %v", resp, err)
				return
			}
			_ = resp.Body.Close()
		}},
		stopping{name: "end grant", victims: 1, told: "401", stop: on("grant end", named("", "grant-0-"))},
		stopping{name: "end client", victims: 1, told: "401", stop: on("client end", named("", "agent-0-"))},
		stopping{name: "end account", victims: 2, told: "401", stop: on("person end", named("", "alice-"))},
	)
	for _, s := range []struct {
		subject, told string
		victims       int
		what          []string
	}{
		{"tool", "unknown tool", 1, []string{"--tool", "books/list-books"}},
		{"api", "401", 2, []string{"--api", "books"}},
		{"everything", "401", 3, []string{"--everything"}},
	} {
		list = append(list, stopping{name: "end " + s.subject, victims: s.victims, told: s.told, stop: on("end", just(s.what...)), reopen: func() { on("reopen", just(s.what...))(agents{}) }})
	}
	return list
}

// security.md 11, 12, 14: the stop button under load. Three agents call 200 times
// a second in sum at two gateway processes; one subject is paused or ended. No
// call that begins a second after the acknowledgement succeeds, no call of those
// that it does not concern fails, and what was paused, and not ended, goes on
// when it is resumed.
func TestStopButtonUnderLoad(t *testing.T) {
	onBoth(t, func(t *testing.T, dsn string) {
		w := newWorldOn(t, dsn, served)
		gateways := []gatewayProcess{w.gateway("gateway-1"), w.gateway("gateway-2")}
		var f figures
		for i, s := range w.stoppings(caller(t, w.address)) {
			t.Run(s.name, func(t *testing.T) { f.press(t, gateways, w.agents(fmt.Sprint(i)), s) })
		}
		t.Logf("%d calls; the last that succeeded began %v after its stop was acknowledged", f.calls.Load(), f.last)
	})
}

// press runs one act and judges every call.
func (f *figures) press(t *testing.T, gateways []gatewayProcess, a agents, s stopping) {
	t.Helper()
	var victims, all []*use
	for i, g := range gateways {
		for agent := range a.tokens {
			u := beginEach(pace, i, func() error { return a.call(g, agent) })
			if all = append(all, u); agent < s.victims {
				victims = append(victims, u)
			}
		}
	}
	for _, u := range all {
		u.await(t, "before it was stopped", 5, time.Time{}, succeeded)
	}
	asked := time.Now()
	s.stop(a)
	acknowledged := time.Now()
	for _, u := range all {
		u.await(t, "after it was stopped", 5, acknowledged.Add(promise), ended)
	}
	released := time.Now()
	if s.resume != nil {
		s.resume(a)
		for _, u := range victims {
			u.await(t, "after it was resumed", 5, released, succeeded)
		}
	}
	for i, u := range all {
		if i%len(a.tokens) >= s.victims {
			f.unharmed(t, s.name, u)
			continue
		}
		f.stopped(t, s, u, asked, acknowledged, released)
	}
	if s.reopen != nil {
		s.reopen()
		f.reopened(t, gateways, a, s)
	}
}

// stopped judges the calls of an agent that was stopped.
func (f *figures) stopped(t *testing.T, s stopping, u *use, asked, acknowledged, released time.Time) {
	t.Helper()
	calls := u.end()
	f.calls.Add(int64(len(calls)))
	for _, c := range calls {
		since := c.began.Sub(acknowledged)
		switch {
		case c.err != nil && c.ended.Before(asked):
			t.Errorf("a call at gateway %d failed before it was stopped: %v", u.gateway, c.err)
		case c.err == nil && since >= promise && c.ended.Before(released):
			t.Errorf("a call at gateway %d began %v after the acknowledgement, and succeeded", u.gateway, since)
		case c.err == nil && c.began.Before(released):
			f.mu.Lock()
			f.last = max(f.last, since)
			f.mu.Unlock()
		case c.err != nil && since >= promise && c.ended.Before(released) && !strings.Contains(c.err.Error(), s.told):
			t.Errorf("gateway %d tells %v; want %q", u.gateway, c.err, s.told)
		}
	}
}

// reopened checks that what ended is still over where what was closed is open
// again: tokens have to be got anew, but for a tool, which has none of its own.
func (f *figures) reopened(t *testing.T, gateways []gatewayProcess, a agents, s stopping) {
	t.Helper()
	opened := time.Now()
	for i, g := range gateways {
		for agent := range s.victims {
			u := beginEach(pace, i, func() error { return a.call(g, agent) })
			if s.name == "end tool" {
				u.await(t, "after it was reopened", 5, opened, succeeded)
			} else {
				u.await(t, "after it was reopened", 5, opened.Add(promise), ended)
			}
			for _, c := range u.end() {
				if s.name != "end tool" && c.err == nil {
					t.Errorf("at gateway %d a call succeeded with what was ended", i)
				}
			}
		}
	}
}

// security.md 11, 12: a gateway that starts while a tool is paused knows it
// before its first call, and so does one that was cut off while a tool was
// closed: cut off it refuses everything, and healed it refuses that tool.
func TestClosedToolsSurviveRestartAndPartition(t *testing.T) {
	w := newWorld(t)
	w.run("pause", "--tool", "books/list-books", "--reason", "test")
	g, a := w.gateway("gateway-1"), w.agents("x")
	if err := a.call(g, 0); err == nil || !strings.Contains(err.Error(), "unknown tool") {
		t.Errorf("the first call of a gateway that has just started: %v", err)
	}
	for agent := 1; agent < 3; agent++ {
		if err := a.call(g, agent); err != nil {
			t.Errorf("agent %d: %v", agent, err)
		}
	}
	var uses []*use
	for agent := range a.tokens {
		uses = append(uses, beginEach(pace, 0, func() error { return a.call(g, agent) }))
	}
	g.way.set(true, false)
	isCut := time.Now()
	w.run("end", "--tool", "books/list-authors", "--reason", "while the gateway was away")
	for _, u := range uses {
		u.await(t, "while it is cut off", 1, isCut.Add(promise), ended)
	}
	healed := time.Now()
	g.way.set(false, false)
	uses[2].await(t, "once it is healed", 10, healed, succeeded)
	for _, u := range uses[:2] {
		u.await(t, "once it is healed", 10, healed, ended)
	}
	for i, u := range uses {
		for _, c := range u.end() {
			switch {
			case c.err == nil && !c.began.Before(isCut.Add(promise)) && c.ended.Before(healed):
				t.Errorf("agent %d: a call succeeded that began %v after the cut", i, c.began.Sub(isCut))
			case c.err == nil && i < 2 && (i == 0 || !c.began.Before(isCut.Add(promise))):
				t.Errorf("agent %d: a closed tool was called %v after the cut", i, c.began.Sub(isCut))
			}
		}
	}
}
