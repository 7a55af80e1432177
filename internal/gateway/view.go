package gateway

import (
	"strings"

	"gatehouse/internal/catalog"
)

// endpointView is what a browser is shown at an endpoint. The tools are not
// among it: they are listed to signed-in agents only (security.md 14).
func (s *Server) endpointView(api *catalog.API) EndpointView {
	_, host, _ := strings.Cut(s.URL, "://")
	return EndpointView{
		Host: strings.TrimSuffix(host, "/"), API: api.Title, Endpoint: api.Resource, AuthorizationServer: s.Issuer,
		Connect: []ConnectView{
			{"Claude Code", "claude mcp add --transport http " + api.Name + " " + api.Resource},
			{"Visual Studio Code", `code --add-mcp '{"name":"` + api.Name + `","type":"http","url":"` + api.Resource + `"}'`},
			{"Any other client", `{"mcpServers": {"` + api.Name + `": {"type": "http", "url": "` + api.Resource + `"}}}`},
		},
	}
}
