package browser_test

import (
	"fmt"
	"html"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/page"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// evaluate runs an expression as the developer tools would: pages cannot.
func evaluate[T any](b *tab, expression string) T {
	b.t.Helper()
	v, err := chromedp.Run(b.ctx, chromedp.Evaluate[T](expression))
	if err != nil {
		b.t.Fatalf("%s: %v", expression, err)
	}
	return v
}

// complain gathers what the browser has against pages: scripts and styles that
// the policy stopped, exceptions, deprecated parts.
type complain struct {
	mu   sync.Mutex
	list []string
}

func (c *complain) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = nil
	return list
}

func (c *complain) hear(ev any) {
	text := ""
	switch ev := ev.(type) {
	case *log.EventEntryAdded:
		// A page whose status is an error is a failed load to the browser.
		if ev.Entry.Source != log.EntrySourceNetwork || strings.Contains(ev.Entry.URL, "/assets/") {
			text = fmt.Sprintf("%s %s: %s %s", ev.Entry.Source, ev.Entry.Level, ev.Entry.Text, ev.Entry.URL)
		}
	case *runtime.EventExceptionThrown:
		text = ev.ExceptionDetails.Text
	case *runtime.EventConsoleAPICalled:
		text = "a script wrote to the console"
	}
	if text != "" {
		c.mu.Lock()
		c.list = append(c.list, text)
		c.mu.Unlock()
	}
}

// security.md 18: with scripts on the browser has nothing to complain about.
// Each page can be read at 200 % zoom, on 320 pixels and with letters twice as
// large without scrolling sideways (WCAG 1.4.4, 1.4.10), and the keyboard
// reaches every control and shows where it is (WCAG 2.1.1, 2.4.7).
func TestPagesAreQuietAndFlexible(t *testing.T) {
	t.Parallel()
	b := chromium(t)
	b.scripts(true)
	c := &complain{}
	if err := chromedp.Listen(b.ctx, c.hear); err != nil {
		t.Fatal(err)
	}
	for _, tc := range views(t, b) {
		b.resize(tc.name, 1280, 1, 16)
		tc.open()
		b.see("h1")
		b.tabThrough(tc.name)
		b.resize(tc.name, 640, 2, 16)
		b.resize(tc.name, 320, 1, 16)
		b.resize(tc.name, 640, 1, 32)
		for _, complaint := range c.take() {
			t.Errorf("%s: the browser says: %s", tc.name, complaint)
		}
	}
}

// resize gives the window a width in CSS pixels, a zoom and the size of letters
// that the person has set, and checks what becomes of the page.
func (b *tab) resize(name string, width int64, zoom float64, letters int64) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 800, chromedp.EmulateScale(zoom)))
	if _, err := chromedp.Call(b.ctx, page.SetFontSizes, page.SetFontSizesParams{FontSizes: &page.FontSizes{Standard: letters}}); err != nil {
		b.t.Fatal(err)
	}
	if over := evaluate[int](b, `document.documentElement.scrollWidth - document.documentElement.clientWidth`); over > 0 {
		b.t.Errorf("%s: %d pixels wide at zoom %v with letters of %d has to be scrolled sideways by %d", name, width, zoom, letters, over)
	}
	if size := evaluate[float64](b, `parseFloat(getComputedStyle(document.querySelector("p") ?? document.body).fontSize)`); letters > 16 && size != float64(letters) {
		b.t.Errorf("%s: letters of %d are shown with %v", name, letters, size)
	}
}

// tabThrough walks the controls of a page by the Tab key.
func (b *tab) tabThrough(name string) {
	b.t.Helper()
	const controls = `[...document.querySelectorAll('a[href], button, input:not([type="hidden"], [type="radio"]:not(:checked)), textarea, summary, [tabindex="0"]')].filter((e) => e.checkVisibility())`
	count := evaluate[int](b, controls+`.length`)
	reached := map[int]bool{}
	for range 2 * (count + 1) { // twice, as a page may begin with the focus in its middle
		if len(reached) == count {
			return
		}
		b.do(chromedp.KeyEvent("\t"))
		if at := evaluate[int](b, controls+`.indexOf(document.activeElement)`); at >= 0 {
			reached[at] = true
			ring := evaluate[bool](b, `(() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle === "solid" && parseFloat(s.outlineWidth) >= 2 })()`)
			if !ring {
				b.t.Errorf("%s: the focus does not show on %s", name, evaluate[string](b, `document.activeElement.outerHTML`))
			}
		}
	}
	if len(reached) < count {
		b.t.Errorf("%s: the keyboard reaches %d of %d controls", name, len(reached), count)
	}
}

// R-RS-20, security.md 18: nobody can lay a page of ours under their own and
// borrow a person's click, not even from a neighbouring host to which the
// browser sends the session along.
func TestPagesCannotBeFramed(t *testing.T) {
	p := demo(t)
	a := p.agent("Notebook", "none")
	b := chromium(t)
	seen := make(chan struct{}, 8)
	outside := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		switch r.URL.Path {
		case "/":
			by, to := r.FormValue("by"), html.EscapeString(r.FormValue("to"))
			fmt.Fprintf(w, `<!doctype html><title>outside</title><%s width="600" height="400" src="%s" data="%[2]s"></%[1]s>`, by, to)
		case "/free": // can be framed, to show that the test sees it
			_, _ = io.WriteString(w, `<!doctype html><title>free</title><img src="/seen" alt="">`) // the browser may be gone
		case "/seen":
			seen <- struct{}{}
		}
	}))
	t.Cleanup(outside.Close)
	_, port, _ := strings.Cut(strings.TrimPrefix(outside.URL, "http://"), ":")
	neighbour := strings.Replace(p.Login[:strings.LastIndex(p.Login, ":")], "login.", "other.login.", 1) + ":" + port
	w := &framing{ended: make(chan string, 64)}
	if err := chromedp.Listen(b.ctx, w.hear); err != nil {
		t.Fatal(err)
	}
	b.open(a.address(nil))
	b.press(`button[value="alice"]`)
	b.see(`button[value="allow"]`)
	for _, by := range []string{"iframe", "embed", "object"} {
		b.open(neighbour + "/?" + url.Values{"by": {by}, "to": {outside.URL + "/free"}}.Encode())
		select {
		case <-seen:
		case <-time.After(patience):
			t.Fatalf("%s: not even a page that allows it is framed", by)
		}
		for _, tc := range []struct{ to, path string }{{a.address(nil), "/consent"}, {p.Home + "/", "/"}, {p.MCP + "/", "/"}} {
			w.expect(tc.to, tc.path)
			b.open(neighbour + "/?" + url.Values{"by": {by}, "to": {tc.to}}.Encode())
			select {
			case got := <-w.ended:
				if got != "200 net::ERR_BLOCKED_BY_RESPONSE" {
					t.Errorf("%s by %s: %s", tc.to, by, got)
				}
			case <-time.After(patience):
				t.Fatalf("%s by %s: nothing stopped it", tc.to, by)
			}
		}
	}
}

// framing watches what becomes of a document that a page frames.
type framing struct {
	mu    sync.Mutex
	host  string
	path  string
	known map[network.RequestID]int64 // status by request
	ended chan string                 // status and outcome
}

// expect has it watch the document at a path of the host of address.
func (f *framing) expect(address, path string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	u, _ := url.Parse(address)
	f.host, f.path, f.known = u.Host, path, map[network.RequestID]int64{}
}

func (f *framing) hear(ev any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch ev := ev.(type) {
	case *network.EventResponseReceived:
		u, err := url.Parse(ev.Response.URL)
		if err == nil && ev.Type == network.ResourceTypeDocument && u.Host == f.host && strings.HasPrefix(u.Path, f.path) {
			f.known[ev.RequestID] = ev.Response.Status
		}
	case *network.EventLoadingFailed:
		if status, ok := f.known[ev.RequestID]; ok {
			f.ended <- fmt.Sprintf("%d %s", status, ev.ErrorText)
		}
	}
}
