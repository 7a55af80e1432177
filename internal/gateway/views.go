package gateway

import "embed"

// pages holds endpoint.html, which a browser gets at an MCP endpoint.
//
//go:embed pages/*.html
var pages embed.FS

// EndpointView fills endpoint.html: what this address is and how an agent
// connects to it.
type EndpointView struct {
	Host                string // of this page, beside the mark
	API                 string // "Customer API"
	Endpoint            string // the address to give to an agent
	AuthorizationServer string // its issuer
	Connect             []ConnectView
	Tools               []ToolView // empty where tools are listed to signed-in agents only (security.md 14)
}

// ConnectView is one way to connect.
type ConnectView struct {
	Title   string // "Claude Code"
	Command string // the whole command, lines separated by newlines
}

// ToolView is one tool as a person reads about it.
type ToolView struct {
	Name        string
	Title       string
	Description string
	Scopes      []string
	Risk        string // "read", "change" or "delete"
}
