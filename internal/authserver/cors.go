package authserver

import (
	"net/http"

	"gatehouse/internal/httpserver"
)

// public adapts what programs call from anywhere, among them scripts of the
// allowed web origins. No cookie counts here.
func (s *Server) public(next http.Handler) http.Handler {
	return httpserver.CORS{
		Origins:        s.AllowedOrigins,
		Methods:        []string{http.MethodGet, http.MethodPost},
		RequestHeaders: []string{"MCP-Protocol-Version"}, // sent on discovery by the SDKs
	}.Wrap(next)
}
