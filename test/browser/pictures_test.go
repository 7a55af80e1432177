package browser_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// TestPictures takes a picture of every page at phone, tablet and desktop
// width, light and dark, into the folder GATEHOUSE_PICTURES names, and checks
// that none is blank and none has to be scrolled sideways.
func TestPictures(t *testing.T) {
	folder := os.Getenv("GATEHOUSE_PICTURES")
	if folder == "" {
		folder = t.TempDir()
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	p := demo(t)
	real := installation(t)
	plain := p.agent("Notebook", "none")
	hostile := p.agent(`Totally “Verified” Bank <script>alert(1)</script> `+strings.Repeat("Über-Assistent ", 5), "none")
	careful := p.agent("Notebook", "none")
	arabic := p.agent("مساعد العملاء", "none")
	all := url.Values{"scope": {"users:read users:write orders:read refunds:create"}}
	b := chromium(t)
	signedIn := func(a *agent, changes url.Values) {
		b.open(a.address(changes))
		b.click(`button[value="alice"]`)
		b.see(`button[value="allow"]`)
	}
	for _, page := range []struct {
		name string
		open func()
	}{
		{"sign-in", func() { b.open(plain.address(url.Values{"prompt": {"login"}})) }},
		{"sign-in-password", func() { b.open(real.agent("Notebook", "none").address(nil)) }},
		{"sign-in-refused", func() {
			b.open(real.agent("Notebook", "none").address(nil))
			b.do(chromedp.SendKeys(chromedp.CSS("#username"), "alice"), chromedp.SendKeys(chromedp.CSS("#password"), "wrong password\r"))
			b.see(`#problem`)
		}},
		{"consent", func() { signedIn(plain, url.Values{"prompt": {"login"}}) }},
		{"consent-risky", func() { b.open(plain.address(all)); b.see(`button[value="allow"]`) }},
		{"consent-hostile", func() { b.open(hostile.address(all)); b.see(`button[value="allow"]`) }},
		{"confirm", func() {
			b.open(plain.address(nil))
			b.click(`button[value="allow"]`)
			b.see(`#back`)
			b.open(plain.address(nil))
			b.see(`button[value="continue"]`)
		}},
		{"consent-exact", func() {
			b.open(plain.address(all))
			b.see(`button[value="allow"]`)
			b.click("summary")
			b.see("details dl")
		}},
		{"consent-tried", func() {
			signedIn(careful, url.Values{"prompt": {"login"}})
			b.click(`input[value="orders:read"]`)
			b.click(`button[value="allow"]`)
			b.see(`#back`)
			p.call(careful.token(careful.answer().Get("code")), "fetch-orders", `{"id":1}`)
			b.open(careful.address(url.Values{"scope": {"users:read"}}))
			b.see(`input[value="orders:read"]:not(:checked)`)
		}},
		{"consent-arabic", func() {
			b.open(arabic.address(url.Values{"prompt": {"login"}}))
			b.do(chromedp.SendKeys(chromedp.CSS("#username"), "ليلى\r"))
			b.see(`button[value="allow"]`)
		}},
		{"error", func() { b.open(p.Login + "/authorize?client_id=nobody") }},
		{"front", func() { b.open(p.Login + "/") }},
		{"home", func() { b.open(p.Home + "/") }},
		{"endpoint", func() { b.open(p.MCP + "/") }},
	} {
		page.open()
		b.see("h1")
		for _, width := range []int64{360, 768, 1280} {
			for _, scheme := range []string{"light", "dark"} {
				name := fmt.Sprintf("%s-%d-%s.png", page.name, width, scheme)
				b.shoot(filepath.Join(folder, name), width, scheme)
			}
		}
	}
}

// shoot takes one picture.
func (b *tab) shoot(path string, width int64, scheme string) {
	b.t.Helper()
	b.do(chromedp.EmulateViewport(width, 800))
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		b.t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	overflow, err := chromedp.Run(ctx, chromedp.Evaluate[int](`document.documentElement.scrollWidth - document.documentElement.clientWidth`))
	if err != nil {
		b.t.Fatal(err)
	}
	if overflow > 0 {
		b.t.Errorf("%s has to be scrolled sideways by %d pixels", filepath.Base(path), overflow)
	}
	data, err := chromedp.Run(ctx, chromedp.FullScreenshot(100))
	if err != nil {
		b.t.Fatal(err)
	}
	if err := os.WriteFile(path, data, 0o644); err != nil {
		b.t.Fatal(err)
	}
	size, err := png.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		b.t.Fatal(err)
	}
	// An empty page takes at most 9 bytes for 1000 pixels, the emptiest of ours
	// 35. Decoding them all is slow under the race detector.
	if density := len(data) * 1000 / (size.Width * size.Height); density < 15 {
		b.t.Errorf("%s is blank: %d bytes for 1000 pixels", filepath.Base(path), density)
	}
}
