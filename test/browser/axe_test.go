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

// axe finds nothing serious on any page, light or dark (WCAG 2.2 AA).
func TestAxeFindsNothingSerious(t *testing.T) {
	t.Parallel()
	script, err := os.ReadFile("../node/node_modules/axe-core/axe.min.js")
	if err != nil && os.Getenv("CI") == "true" {
		t.Fatal(err)
	}
	if err != nil {
		t.Skip("axe-core is missing in test/node; make test installs it")
	}
	b := chromium(t)
	// axe is a script; the pages themselves have none.
	if _, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: false}); err != nil {
		t.Fatal(err)
	}
	for _, page := range views(t, b) {
		page.open()
		b.see("h1")
		for _, scheme := range []string{"light", "dark"} {
			if _, err := chromedp.Call(b.ctx, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
				Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}},
			}); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(b.ctx, patience)
			found, err := chromedp.Run(ctx, chromedp.Evaluate[report](string(script)+`;
				axe.run({runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}).then((r) => ({Passed: r.passes.length, Violations: r.violations.map(
					(v) => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map((n) => ({HTML: n.html}))}))}))`, chromedp.EvalAwaitPromise))
			cancel()
			if err != nil {
				t.Fatalf("%s: %v", page.name, err)
			}
			if found.Passed < 10 {
				t.Errorf("%s, %s: axe checked next to nothing (%d rules)", page.name, scheme, found.Passed)
			}
			for _, v := range found.Violations {
				t.Errorf("%s, %s: %s %s: %s in %s", page.name, scheme, v.Impact, v.ID, v.Help, v.Nodes[0].HTML)
			}
		}
	}
}
