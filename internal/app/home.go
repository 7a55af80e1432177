package app

import "embed"

// homePages holds home.html, the demo's start page, filled from a [HomeView].
//
//go:embed pages/*.html
var homePages embed.FS

// HomeView fills home.html: what the demo started and what to try with it.
type HomeView struct {
	Host    string // of this page, beside the mark
	URLs    []URLRow
	People  []Person
	Try     []TryItem
	Scenes  []SceneRow
	DataDir string // where the demo keeps its data; empty if it keeps none
}

// SceneRow is a scene that can be played.
type SceneRow struct {
	Name  string // in its address: "read"
	Title string
	Text  string // what it shows, a sentence
}

// URLRow is one running part of the demo.
type URLRow struct {
	Component string // "MCP server"
	Role      string // the role that serves it: "gateway"
	URL       string
}

// Person is somebody one can sign in as.
type Person struct {
	Name  string // "alice"
	Where string // what makes them different: "customers in USA"
}

// TryItem is one thing to try, in order.
type TryItem struct {
	Title   string // "Read customers through an agent"
	Text    string // what it shows, a sentence
	Command string // the whole command, lines separated by newlines; may be empty
}
