package browser_test

import (
	"context"
	"os"
	"testing"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// violation is a finding of axe.
type violation struct {
	ID, Impact, Help string
	Nodes            []struct{ HTML string }
}

type report struct {
	Passed     int
	Violations []violation
}

// TestAxeFindsNothingSerious: on any page, light or dark (WCAG 2.2 AA).
func TestAxeFindsNothingSerious(t *testing.T) {
	t.Parallel()
	b := chromium(t)
	for _, page := range views(t, b) {
		page.open()
		b.see("h1")
		for _, scheme := range []string{"light", "dark"} {
			b.colours(scheme)
			b.axe(page.name + ", " + scheme)
		}
	}
}

// colours lets pages see that the person likes a scheme, light or dark.
func (b *tab) colours(scheme string) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
		Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
	}); err != nil {
		b.t.Fatal(err)
	}
}

// scripts lets pages run scripts, or not.
func (b *tab) scripts(on bool) {
	b.t.Helper()
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !on}); err != nil {
		b.t.Fatal(err)
	}
}

// axe examines the page that is open. It is a script; afterwards the page runs
// none.
func (b *tab) axe(name string) {
	b.t.Helper()
	script, err := os.ReadFile("../node/node_modules/axe-core/axe.min.js")
	if err != nil && os.Getenv("CI") == "true" {
		b.t.Fatal(err)
	}
	if err != nil {
		b.t.Skip("axe-core is missing in test/node; make test installs it")
	}
	b.scripts(true)
	defer b.scripts(false)
	ctx, cancel := context.WithTimeout(b.ctx, patience)
	defer cancel()
	found, err := chromedp.Run(ctx, chromedp.Evaluate[report](string(script)+`;
		axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then((r) => ({Passed: r.passes.length, Violations: r.violations.map(
			(v) => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map((n) => ({HTML: n.html}))}))}))`, chromedp.EvalAwaitPromise))
	if err != nil {
		b.t.Fatalf("%s: %v", name, err)
	}
	if found.Passed < 10 {
		b.t.Errorf("%s: axe checked next to nothing (%d rules)", name, found.Passed)
	}
	for _, v := range found.Violations {
		b.t.Errorf("%s: %s %s: %s in %s", name, v.Impact, v.ID, v.Help, v.Nodes[0].HTML)
	}
}
