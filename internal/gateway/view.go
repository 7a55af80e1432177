package gateway

import (
	"strings"

	"gatehouse/internal/catalog"
)

// endpointView is what a browser is shown at an endpoint. The tools are among
// it only where anybody may list them (security.md 14).
func (s *Server) endpointView(api *catalog.API) EndpointView {
	_, host, _ := strings.Cut(s.URL, "://")
	var tools []ToolView
	if api.OpenListing {
		for _, t := range api.Tools {
			tools = append(tools, ToolView{Name: t.Name, Title: t.Title, Description: t.Description, Scopes: t.Needed(), Risk: t.Risk()})
		}
	}
	return EndpointView{
		Tools: tools,
		Host:  strings.TrimSuffix(host, "/"), API: api.Title, Endpoint: api.Resource, AuthorizationServer: s.Issuer,
		Connect: []ConnectView{
			{"Claude Code", "claude mcp add --transport http " + api.Name + " " + api.Resource},
			{"Visual Studio Code", `code --add-mcp '{"name":"` + api.Name + `","type":"http","url":"` + api.Resource + `"}'`},
			{"Any other client", `{"mcpServers": {"` + api.Name + `": {"type": "http", "url": "` + api.Resource + `"}}}`},
		},
	}
}
