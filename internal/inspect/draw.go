package inspect

import (
	"bytes"
	"cmp"
	_ "embed" // for the drawing's template
	"fmt"
	"html/template"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/oauth"
	"gatehouse/internal/page"
)

//go:embed flow.html
var drawing string

// Drawing draws flows: swim-lanes with a line for each message, which opens
// without a script. It is safe for concurrent use.
type Drawing struct{ template *template.Template }

// NewDrawing reads the template.
func NewDrawing() (*Drawing, error) {
	t, err := template.New("flow.html").Funcs(template.FuncMap{"link": Link}).Parse(drawing)
	if err != nil {
		return nil, fmt.Errorf("parse the drawing of flows: %w", err)
	}
	return &Drawing{t}, nil
}

// Flow draws a flow for a page with the common stylesheet.
func (d *Drawing) Flow(f Flow) (template.HTML, error) {
	var b bytes.Buffer
	if err := d.template.ExecuteTemplate(&b, "flow", rowsOf(f)); err != nil {
		return "", fmt.Errorf("draw a flow: %w", err)
	}
	return template.HTML(b.String()), nil // html/template has escaped it
}

// Export writes a flow as one file that needs no other: no script, and nothing
// is loaded from anywhere.
func (d *Drawing) Export(w io.Writer, title string, f Flow) error {
	view := struct {
		Title, When string
		Style       template.CSS
		Rows        []row
	}{title, "", template.CSS(page.Stylesheet()), rowsOf(f)} // our own, from this program
	if len(f.Messages) > 0 {
		view.When = f.Begun().UTC().Format("Monday, 2 January 2006, 15:04:05 UTC")
	}
	if err := d.template.ExecuteTemplate(w, "export", view); err != nil {
		return fmt.Errorf("export a flow: %w", err)
	}
	return nil
}

// Save answers a request with the file that Export writes, to be kept and not
// shown: here it could do nothing, and has no place.
func (d *Drawing) Save(w http.ResponseWriter, title string, f Flow) error {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Disposition", `attachment; filename="messages.html"`)
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; sandbox")
	h.Set("Cache-Control", "no-store")
	return d.Export(w, title, f)
}

// row is a message as it is drawn.
type row struct {
	Message
	Number           int
	Title            string
	What             string // the method and tool of MCP, the grant type, what the person chose
	FromName, ToName string
	Arrow            string // its place among the lanes
	Label            string // of the token it is about
	After            string // since the first message
	Ref              string
	Why              *Rule
	Nothing          bool // of which nothing may be kept
	Asked, Answered  []fieldRow
	Token            *tokenRow
}

type fieldRow struct {
	Field
	Purpose, Ref string
}

type tokenRow struct {
	Title, Label, Before string
	Changes              []Change
	Facts, Claims        []fieldRow
}

func lanes() []Lane { return []Lane{Browser, Client, AuthServer, Gateway, API} }

func laneName(l Lane) string {
	switch l {
	case Browser:
		return "Browser"
	case Client:
		return "Agent"
	case AuthServer:
		return "Authorization server"
	case Gateway:
		return "Gateway"
	}
	return "API"
}

func rowsOf(f Flow) []row {
	var rows []row
	for _, m := range f.Messages {
		k, ok := rowOf(m.Kind)
		if !ok {
			continue
		}
		r := row{
			Message: m, Number: len(rows) + 1, Title: k.title, FromName: laneName(k.from), ToName: laneName(k.to), Arrow: arrow(k.from, k.to),
			After: after(m.Time - f.Messages[0].Time), Ref: k.ref, Nothing: m.Kind == SignIn,
			Asked: fieldRows(m.Asked), Answered: fieldRows(m.Answered),
		}
		if m.Kind == AuthorizationResponse {
			r.Method = ""
		}
		r.Label = labelOf(m)
		for _, name := range []string{"method", "tool", "grant_type", "action"} {
			if i := slices.IndexFunc(m.Asked, func(f Field) bool { return f.Name == name }); i >= 0 {
				r.What = strings.TrimSpace(r.What + " " + short(m.Asked[i].Value))
			}
		}
		if m.Rule != "" {
			rule := RuleOf(m.Rule)
			r.Why = &rule
		}
		r.Token = tokenOf(m)
		rows = append(rows, r)
	}
	return rows
}

// labelOf is the label of the token that a message is about: of the one that was
// issued, or that was presented, though it may be worth nothing.
func labelOf(m Message) string {
	if t := cmp.Or(m.Issued, m.Presented); t != nil {
		return t.Label
	}
	for _, f := range m.Asked {
		if f.Masked && f.Value != "" && f.Name != "code" {
			return strings.Trim(f.Value, "‹›")
		}
	}
	return ""
}

// short is the end of an identifier that is a URN.
func short(s string) string { return s[strings.LastIndex(s, ":")+1:] }

func after(microseconds int64) string {
	d := time.Duration(microseconds) * time.Microsecond
	switch {
	case d < time.Second:
		return "+" + strconv.FormatInt(d.Milliseconds(), 10) + " ms"
	case d < time.Minute:
		return fmt.Sprintf("+%.1f s", d.Seconds())
	}
	return "+" + d.Round(time.Second).String()
}

// arrow is the class that places the arrow: where it begins, how many lanes it
// crosses, and whether it goes back.
func arrow(from, to Lane) string {
	a, b := slices.Index(lanes(), from), slices.Index(lanes(), to)
	back := ""
	if a > b {
		a, b, back = b, a, " back"
	}
	return fmt.Sprintf("at%d over%d%s", a, b-a, back)
}

func fieldRows(list []Field) []fieldRow {
	var rows []fieldRow
	for _, f := range list {
		p, _ := oauth.ParameterOf(f.Name)
		rows = append(rows, fieldRow{f, p.Purpose, p.Ref})
	}
	return rows
}

// tokenOf is what is drawn of a message's token: the one that was issued, or
// else the one that was presented.
func tokenOf(m Message) *tokenRow {
	t, title := m.Issued, "The token that was issued"
	if t == nil {
		t, title = m.Presented, "The token that came along"
	}
	if t == nil {
		return nil
	}
	r := &tokenRow{Title: title, Label: t.Label, Changes: t.Diff(), Claims: fieldRows(append(slices.Clone(t.Header), t.Claims...))}
	if t.From != nil {
		r.Title, r.Before = "The token, beside the one it came from", t.From.Label
		return r
	}
	for _, f := range []Field{
		{Name: "access_token", Value: "‹" + t.Label + "›", Masked: true}, {Name: "aud", Value: t.Audience}, {Name: "sub", Value: t.Subject},
		{Name: "client_id", Value: t.ClientID}, {Name: "scope", Value: strings.Join(t.Scope, " ")}, {Name: "exp", Value: ends(t)},
	} {
		if f.Value != "" {
			r.Facts = append(r.Facts, fieldRows([]Field{f})...)
		}
	}
	return r
}
