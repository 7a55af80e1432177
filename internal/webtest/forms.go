package webtest

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/net/html"
)

// Text returns what a person reads of the page, with white space made single
// blanks.
func (p *Page) Text() string {
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		return p.Body
	}
	return text(root)
}

func text(n *html.Node) string {
	var words []string
	for d := range n.Descendants() {
		if d.Type == html.TextNode && d.Parent != nil && !slices.Contains([]string{"script", "style", "head", "title"}, d.Parent.Data) {
			words = append(words, strings.Fields(d.Data)...)
		}
	}
	return strings.Join(words, " ")
}

// Submit presses a button and returns what the server answers. The button is
// named by its text, by name=value, or is the page's first one if empty.
//
// The form goes with the values it came with, except for fields: each replaces
// the values of its name, and an empty list unticks or leaves out. Naming a
// field that the form does not have ends the test; see Browser.Post for that.
func (p *Page) Submit(button string, fields url.Values) *Page {
	t := p.browser.t
	t.Helper()
	root, err := html.Parse(strings.NewReader(p.Body))
	if err != nil {
		t.Fatalf("%s: parse the page: %v", p.URL, err)
	}
	pressed := findButton(root, button)
	if pressed == nil {
		t.Fatalf("%s: no button %q; status %d, page: %s", p.URL, button, p.Status, text(root))
	}
	form := formOf(root, pressed)
	if form == nil {
		t.Fatalf("%s: button %q belongs to no form", p.URL, button)
	}
	values, names := formValues(root, form)
	for name, replacement := range fields {
		if !names[name] {
			t.Fatalf("%s: the form of button %q has no field %q", p.URL, button, name)
		}
		values[name] = replacement
	}
	if name := attribute(pressed, "name"); name != "" {
		values.Add(name, attribute(pressed, "value"))
	}
	return p.send(form, pressed, values)
}

func (p *Page) send(form, pressed *html.Node, values url.Values) *Page {
	p.browser.t.Helper()
	action, method := attribute(form, "action"), attribute(form, "method")
	if hasAttribute(pressed, "formaction") {
		action = attribute(pressed, "formaction")
	}
	if hasAttribute(pressed, "formmethod") {
		method = attribute(pressed, "formmethod")
	}
	to, err := p.URL.Parse(action)
	if err != nil {
		p.browser.t.Fatalf("%s: the form's action %q is no URL", p.URL, action)
	}
	policy := p.Header.Get("Referrer-Policy")
	if strings.EqualFold(method, http.MethodPost) {
		return p.browser.open(http.MethodPost, to, values.Encode(), p.URL, policy)
	}
	to.RawQuery = values.Encode()
	return p.browser.open(http.MethodGet, to, "", p.URL, policy)
}

func findButton(root *html.Node, wanted string) *html.Node {
	for n := range root.Descendants() {
		if !isSubmit(n) || hasAttribute(n, "disabled") {
			continue
		}
		label := text(n)
		if n.Data == "input" {
			label = attribute(n, "value")
		}
		if wanted == "" || label == wanted || attribute(n, "name")+"="+attribute(n, "value") == wanted {
			return n
		}
	}
	return nil
}

func isSubmit(n *html.Node) bool {
	if n.Type != html.ElementNode {
		return false
	}
	kind := strings.ToLower(attribute(n, "type"))
	return n.Data == "button" && (kind == "" || kind == "submit") || n.Data == "input" && kind == "submit"
}

// formOf returns the form of a control: the one its form attribute names, else
// the one around it.
func formOf(root, control *html.Node) *html.Node {
	if id := attribute(control, "form"); id != "" {
		for n := range root.Descendants() {
			if n.Type == html.ElementNode && n.Data == "form" && attribute(n, "id") == id {
				return n
			}
		}
		return nil
	}
	for n := range control.Ancestors() {
		if n.Type == html.ElementNode && n.Data == "form" {
			return n
		}
	}
	return nil
}

// formValues returns what the form would send as it came, and the names of all
// its fields.
func formValues(root, form *html.Node) (url.Values, map[string]bool) {
	values, names := url.Values{}, map[string]bool{}
	for n := range root.Descendants() {
		name := attribute(n, "name")
		if n.Type != html.ElementNode || name == "" || hasAttribute(n, "disabled") || formOf(root, n) != form {
			continue
		}
		switch n.Data {
		case "input":
			kind := strings.ToLower(attribute(n, "type"))
			if slices.Contains([]string{"submit", "button", "reset", "image", "file"}, kind) {
				continue
			}
			names[name] = true
			if kind != "checkbox" && kind != "radio" {
				values.Add(name, attribute(n, "value"))
			} else if hasAttribute(n, "checked") {
				values.Add(name, checkedValue(n))
			}
		case "textarea":
			names[name] = true
			values.Add(name, rawText(n))
		case "select":
			names[name] = true
			if chosen, ok := selected(n); ok {
				values.Add(name, chosen)
			}
		}
	}
	return values, names
}

func checkedValue(n *html.Node) string {
	if !hasAttribute(n, "value") {
		return "on"
	}
	return attribute(n, "value")
}

// selected returns the chosen option, or the first.
func selected(list *html.Node) (value string, ok bool) {
	for n := range list.Descendants() {
		if n.Type != html.ElementNode || n.Data != "option" {
			continue
		}
		if !ok || hasAttribute(n, "selected") {
			value, ok = attribute(n, "value"), true
			if !hasAttribute(n, "value") {
				value = text(n)
			}
		}
	}
	return value, ok
}

func rawText(n *html.Node) string {
	var b strings.Builder
	for d := range n.Descendants() {
		if d.Type == html.TextNode {
			b.WriteString(d.Data)
		}
	}
	return b.String()
}

func attribute(n *html.Node, name string) string {
	for _, a := range n.Attr {
		if a.Key == name {
			return a.Val
		}
	}
	return ""
}

func hasAttribute(n *html.Node, name string) bool {
	return slices.ContainsFunc(n.Attr, func(a html.Attribute) bool { return a.Key == name })
}
