package browser_test

import (
	"bytes"
	"context"
	"fmt"
	"image/png"
	"os"
	"path/filepath"
	"testing"

	"github.com/chromedp/chromedp"
)

// TestPictures takes a picture of every page at phone, tablet and desktop
// width, light and dark, into the folder GATEHOUSE_PICTURES names, and checks
// that none is blank and none has to be scrolled sideways.
func TestPictures(t *testing.T) {
	t.Parallel()
	folder := os.Getenv("GATEHOUSE_PICTURES")
	if folder == "" {
		folder = t.TempDir()
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	b := chromium(t)
	for _, page := range views(t, b) {
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
	b.colours(scheme)
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
