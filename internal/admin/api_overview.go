package admin

import (
	"net/http"
	"time"
)

// apiOverview is what is happening now: the first page of the console.
type apiOverview struct {
	Since   int64        `json:"since"` // that the figures begin with, Unix seconds
	Figures []apiFigure  `json:"figures"`
	Refused []apiRefusal `json:"refused"` // the newest
}

type apiFigure struct {
	Name  string `json:"name"`
	Count int    `json:"count"`
}

type apiRefusal struct {
	Audit  string `json:"audit"`
	What   string `json:"what"`
	Tool   string `json:"tool,omitempty"`
	Reason string `json:"reason"`
	At     int64  `json:"at"`
}

func (a *API) overview(r *http.Request, _ caller) (any, error) {
	beats, err := a.Server.Pulse.Pulse(r.Context(), pulseEntries)
	if err != nil {
		return nil, err
	}
	p := newPulse(beats, time.Now())
	o := apiOverview{Since: p.Since.Unix(), Figures: []apiFigure{}, Refused: []apiRefusal{}}
	for _, t := range p.Tiles {
		o.Figures = append(o.Figures, apiFigure{t.Name, t.Count})
	}
	for _, x := range p.Refused {
		o.Refused = append(o.Refused, apiRefusal{x.ID, x.What, x.Tool, x.Reason, x.At.Unix()})
	}
	return o, nil
}

// apiSetting is a key of the configuration, as the settings page has it.
type apiSetting struct {
	Key    string   `json:"key"`
	Values []string `json:"values"`
	Masked bool     `json:"masked"` // it is set, and not shown
}

func (a *API) getSettings(*http.Request, caller) (any, error) {
	settings := []apiSetting{}
	for _, g := range a.Server.Settings.Groups {
		for _, s := range g.Rows {
			settings = append(settings, apiSetting{s.Key, append([]string{}, s.Values...), s.Masked})
		}
	}
	return map[string]any{"version": a.Server.Settings.Version, "settings": settings}, nil
}
