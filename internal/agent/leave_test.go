package agent_test

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// A browser that leaves while its message is taken leaves either no message or
// one that is answered.
func TestMessageOfABrowserThatLeaves(t *testing.T) {
	p := start(t)
	server := p.connected()
	p.modelled()
	kept := 0
	for i := range 40 {
		p.model.will("Here is the answer.")
		chat := follow(server.Submit("New chat with these tools", nil)).URL.String()
		ctx, leave := context.WithTimeout(t.Context(), time.Duration(i*i)*50*time.Microsecond)
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, chat, strings.NewReader(url.Values{"text": {"are you there?"}}.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		req.Header.Set("Origin", p.url)
		for _, c := range p.browser.Cookies(p.url) {
			req.AddCookie(c)
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			_ = resp.Body.Close()
		}
		leave()
		time.Sleep(10 * time.Millisecond) // what was on its way is taken or not
		if strings.Contains(p.browser.Get(chat).Text(), "are you there?") {
			kept++
			p.until(chat, "Here is the answer.")
		}
	}
	if kept == 0 || kept == 40 {
		t.Errorf("%d of 40 messages were kept: no browser left in time, or each did", kept)
	}
}
