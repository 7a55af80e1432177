package agent_test

import (
	"bufio"
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A model that does not keep to any measure ends its turn, and the chat goes on.
func TestModelWithoutMeasure(t *testing.T) {
	p := start(t)
	p.tools.add("read-notes", "", true, "a note")
	server := p.connected()
	p.modelled()
	chat := follow(server.Submit("New chat with these tools", nil)).URL.String()
	event := func(delta string) string { return `data: {"choices":[{"index":0,"delta":` + delta + `}]}` + "\n\n" }
	call := func(i int, arguments string) string {
		return fmt.Sprintf(`{"tool_calls":[{"index":%d,"id":"c","function":{"name":"read-notes","arguments":%q}}]}`, i, arguments)
	}
	for name, tc := range map[string]struct{ body, wanted string }{
		"too many words":  {strings.Repeat(event(`{"content":"`+strings.Repeat("a", 60_000)+`"}`), 3), "it says more than 64 kB"},
		"too many calls":  {event(call(8, "{}")), "it wants more than 8 calls at once"},
		"a negative call": {event(call(-1, "{}")), "it wants more than 8 calls at once"},
		"large arguments": {event(call(0, strings.Repeat("x", 70_000))), "a call is larger than 64 kB"},
		"no JSON":         {"data: {\n\n", "a piece of its answer is no JSON"},
		"broken off":      {event(`{"content":"well"}`), "it broke off"},
		"a list":          {event(call(0, "[1]")) + "data: [DONE]\n\n", "The model's arguments are no JSON object; nothing was sent."},
	} {
		p.model.mu.Lock()
		first := true
		p.model.answer = func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/event-stream")
			p.model.mu.Lock()
			defer p.model.mu.Unlock()
			if !first {
				fmt.Fprint(w, event(`{"content":"over"}`)+"data: [DONE]\n\n")
				return
			}
			first = false
			fmt.Fprint(w, tc.body)
		}
		p.model.mu.Unlock()
		p.say(chat, name)
		p.until(chat, tc.wanted)
		p.until(chat, "What shall it do?")
	}
	if n := p.tools.count("read-notes"); n != 0 {
		t.Errorf("read-notes was called %d times", n)
	}
	p.model.mu.Lock()
	p.model.answer = func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprint(w, `{"error":{"message":"bad <b>key</b>"}}`)
	}
	p.model.mu.Unlock()
	p.say(chat, "refused")
	if page := p.until(chat, "it answered 401"); strings.Contains(page.Body, "<b>key") {
		t.Error("the model's error is markup")
	}
	p.model.mu.Lock()
	p.model.answer = nil
	p.model.mu.Unlock()
	for range 20 {
		p.model.will("call read-notes {}")
	}
	p.say(chat, "for ever")
	p.until(chat, "The model went on calling tools after 16 rounds")
	if n := p.tools.count("read-notes"); n != 16 {
		t.Errorf("read-notes was called %d times", n)
	}
}

// Stop ends a turn that waits for a model, and one that waits for the person;
// the chat goes on afterwards, and a second message meanwhile is refused.
func TestStop(t *testing.T) {
	p := start(t)
	p.tools.add("read-notes", "", true, "a note")
	p.tools.add("delete-all", "", false, "gone")
	server := p.connected()
	p.modelled()
	server = follow(server.Submit("Keep these settings", url.Values{"mode delete-all": {"ask"}}))
	chat := follow(server.Submit("New chat with these tools", nil)).URL.String()
	asked, left := make(chan struct{}), make(chan struct{})
	p.model.mu.Lock()
	p.model.answer = func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
		close(left)
	}
	p.model.mu.Unlock()
	before := p.browser.Get(chat)
	p.say(chat, "hang")
	if page := before.Submit("Send", url.Values{"text": {"two at once"}}); page.Status != http.StatusConflict {
		t.Errorf("a second message: %d", page.Status)
	}
	<-asked
	follow(p.until(chat, "Errand is at work").Submit("Stop", nil))
	p.until(chat, "Stopped.")
	select {
	case <-left:
	case <-time.After(30 * time.Second):
		t.Error("the model is still asked")
	}
	p.model.mu.Lock()
	p.model.answer = nil
	p.model.mu.Unlock()
	p.model.will("call delete-all {}")
	p.say(chat, "delete all")
	page := p.until(chat, "It is sent only if you say so")
	follow(page.Submit("Stop", nil))
	p.until(chat, "Nothing was sent.")
	if late := page.Submit("Send this call", nil); late.Status != http.StatusConflict || p.tools.count("delete-all") != 0 {
		t.Errorf("a click after the stop: %d, %d calls", late.Status, p.tools.count("delete-all"))
	}
	p.say(chat, "still there?")
	p.until(chat, "I have nothing more to say.")
	for _, text := range []string{"", strings.Repeat("a", 8001)} {
		if page := p.browser.Post(p.url+"/", chat, url.Values{"text": {text}}); page.Status != http.StatusBadRequest {
			t.Errorf("a message of %d bytes: %d", len(text), page.Status)
		}
	}
}

// The stream shows what the page would show, as it comes, and ends with the
// turn.
func TestEvents(t *testing.T) {
	p := start(t)
	p.tools.add("read-notes", "", true, "<b>a note</b>")
	server := p.connected()
	p.modelled()
	chat := follow(server.Submit("New chat with these tools", nil)).URL.String()
	release := make(chan struct{})
	p.model.mu.Lock()
	p.model.answer = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(w, `data: {"choices":[{"index":0,"delta":{"content":"Half <i>"}}]}`+"\n\n")
		_ = http.NewResponseController(w).Flush()
		select {
		case <-release:
		case <-r.Context().Done():
		}
		fmt.Fprint(w, `data: {"choices":[{"index":0,"delta":{"content":" whole"}}]}`+"\n\ndata: [DONE]\n\n")
	}
	p.model.mu.Unlock()
	p.say(chat, "hello")
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, chat+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range p.browser.Cookies(p.url) {
		req.AddCookie(&http.Cookie{Name: c.Name, Value: c.Value})
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var seen []string
	released := false
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		line := lines.Text()
		seen = append(seen, line)
		if strings.Contains(line, "Half") && !released {
			close(release)
			released = true
		}
	}
	all := strings.Join(seen, "\n")
	if !released || !strings.Contains(all, "whole") || !strings.Contains(all, "event: over") || strings.Contains(all, `\u003ci\u003e`) {
		t.Errorf("the stream was:\n%s", all)
	}
}

// Guessing a password is slowed down, whether the name exists or not.
func TestGuessing(t *testing.T) {
	p := start(t)
	p.account("visitor")
	p.browser.ClearCookies()
	for _, name := range []string{"visitor", "nobody"} {
		slowed := false
		for range 12 {
			page := p.browser.Get(p.url+"/sign-in").Submit("Sign in", url.Values{"username": {name}, "password": {"wrong password"}})
			slowed = slowed || page.Status == http.StatusTooManyRequests
			if page.Status != http.StatusTooManyRequests && page.Status != http.StatusUnauthorized {
				t.Fatalf("%s: %d", name, page.Status)
			}
		}
		if !slowed {
			t.Errorf("%s: twelve guesses in a row", name)
		}
	}
	if page := p.browser.Get(p.url+"/create").Submit("Create the account", url.Values{"username": {"Visitor"}, "password": {"correct horse battery"}}); page.Status != http.StatusConflict {
		t.Errorf("the name was given twice: %d", page.Status)
	}
	if page := p.browser.Get(p.url+"/create").Submit("Create the account", url.Values{"username": {"other"}, "password": {"short"}}); page.Status != http.StatusBadRequest {
		t.Errorf("a short password: %d", page.Status)
	}
}
