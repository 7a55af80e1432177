package admin

import (
	"net/http"
	"time"

	"gatehouse/internal/audit"
)

// Limits of what the first page looks at: its cost does not grow with the log.
const (
	pulseEntries = 2000
	pulseSpan    = time.Hour
	pulseBars    = 60
	shownRefused = 6
)

// showHome tells what is happening now.
func (s *Server) showHome(w http.ResponseWriter, r *http.Request, v visit) error {
	beats, err := s.Pulse.Pulse(r.Context(), pulseEntries)
	if err != nil {
		return err
	}
	view := newPulse(beats, time.Now())
	if view.Stopped, err = s.stopped(r.Context()); err != nil {
		return err
	}
	view.frame = s.frame(v, home)
	return s.pages.Render(w, http.StatusOK, "home.html", view)
}

// pulse sums up the newest entries.
type pulse struct {
	frame
	Since   time.Time // that the figures begin with
	Cut     bool      // because there was too much since an hour
	Tiles   []tile
	Chart   chart
	Refused []refusal // newest first
	Stopped []stopped
}

// refusal is what was denied, or failed.
type refusal struct {
	ID, What, Tool, Reason string
	At                     time.Time
	Failed                 bool
}

// tile is one figure.
type tile struct {
	Name, Text string
	Count      int
	Look, Link string // why it asks for a look; where it is found
}

// chart is calls over time, as bars from old to new.
type chart struct {
	Bars    []bar
	Width   int
	Height  int
	Busiest int // calls in the busiest bar
}

// bar is a stack of three, in units of the drawing.
type bar struct {
	X, Width                  int
	OKY, OKH, NoY, NoH, BadY  int
	BadH                      int
	At                        time.Time
	Done, Denied, Failed, All int
}

const (
	barWidth, barGap = 8, 2
	chartHeight      = 96
)

func newPulse(beats []audit.Beat, now time.Time) pulse {
	p := pulse{Since: now.Add(-pulseSpan)}
	if n := len(beats); n == pulseEntries {
		if oldest := time.UnixMilli(beats[n-1].Time); oldest.After(p.Since) {
			p.Since, p.Cut = oldest, true
		}
	}
	p.Chart = newChart(p.Since, now)
	var calls, denied, failed, signIns, agents, ended int
	for _, b := range beats {
		at := time.UnixMilli(b.Time)
		if at.Before(p.Since) {
			break
		}
		if (b.Outcome == audit.Denied || b.Outcome == audit.Failed) && len(p.Refused) < shownRefused {
			p.Refused = append(p.Refused, refusal{b.ID, nameOf(entryKinds, string(b.Kind)), b.Tool, b.Reason, at, b.Outcome == audit.Failed})
		}
		switch {
		case b.Kind == audit.Call:
			calls++
			p.Chart.count(b.Outcome, at, p.Since, now)
		case b.Kind == audit.SignIn && b.Outcome == audit.Done:
			signIns++
		case b.Kind == audit.Registration && b.Outcome == audit.Done:
			agents++
		case b.Kind == audit.Revocation:
			ended++
		}
		switch b.Outcome {
		case audit.Denied:
			denied++
		case audit.Failed:
			failed++
		}
	}
	p.Chart.draw()
	look := func(n int, why string) string {
		if n == 0 {
			return ""
		}
		return why
	}
	p.Tiles = []tile{
		{"Calls", "of tools", calls, "", "/admin/audit?kind=call"},
		{"Denied", "not allowed, or stopped", denied, look(denied, "look"), "/admin/audit?outcome=denied"},
		{"Failed", "did not work", failed, look(failed, "look"), "/admin/audit?outcome=failed"},
		{"Sign-ins", "of people", signIns, "", "/admin/audit?kind=sign-in"},
		{"New agents", "registered themselves", agents, "", "/admin/agents"},
		{"Ended", "connections and tokens", ended, "", "/admin/audit?kind=revocation"},
	}
	return p
}

func newChart(since, now time.Time) chart {
	c := chart{Width: pulseBars * (barWidth + barGap), Height: chartHeight, Bars: make([]bar, pulseBars)}
	for i := range c.Bars {
		c.Bars[i].X, c.Bars[i].Width = i*(barWidth+barGap), barWidth
		c.Bars[i].At = since.Add(now.Sub(since) * time.Duration(i) / pulseBars)
	}
	return c
}

func (c *chart) count(o audit.Outcome, at, since, now time.Time) {
	i := int(at.Sub(since) * pulseBars / max(now.Sub(since), 1))
	b := &c.Bars[max(0, min(i, pulseBars-1))]
	b.All++
	switch o {
	case audit.Denied:
		b.Denied++
	case audit.Failed:
		b.Failed++
	default:
		b.Done++
	}
	c.Busiest = max(c.Busiest, b.All)
}

// draw turns counts into heights; what happened once is seen, however busy
// another minute was.
func (c *chart) draw() {
	height := func(n int) int {
		if n == 0 {
			return 0
		}
		return max(2, n*(chartHeight-6)/c.Busiest)
	}
	for i := range c.Bars {
		b := &c.Bars[i]
		b.OKH, b.NoH, b.BadH = height(b.Done), height(b.Denied), height(b.Failed)
		b.OKY = chartHeight - b.OKH
		b.NoY = b.OKY - b.NoH
		b.BadY = b.NoY - b.BadH
	}
}
