package shell

import (
	"context"
	"fmt"
	"strings"
	"time"
)

// identity is what whoami prints.
type identity struct {
	Server    string   `json:"server"`
	Name      string   `json:"server_name,omitempty"`
	Revision  string   `json:"protocol_version"`
	Issuer    string   `json:"authorization_server,omitempty"`
	ClientID  string   `json:"client_id,omitempty"`
	Resource  string   `json:"resource,omitempty"`
	Scope     []string `json:"scope,omitempty"`
	ExpiresAt int64    `json:"expires_at,omitempty"`
	Renewable bool     `json:"renewable"`
}

func (s *Shell) whoami(ctx context.Context, words []string) error {
	if len(words) > 0 {
		return usageError("whoami takes no arguments")
	}
	session, err := s.connected(ctx)
	if err != nil {
		return err
	}
	// A question that needs a token, so that what is shown is what is good now.
	if _, err := session.Tools(ctx); err != nil {
		return err
	}
	a, server := session.Authorization(), session.MCP.InitializeResult()
	who := identity{Server: s.Server, Revision: server.ProtocolVersion, Issuer: a.Issuer, ClientID: a.ClientID, Resource: a.Resource, Scope: a.Scope, Renewable: a.Renewable}
	if server.ServerInfo != nil {
		who.Name = strings.TrimSpace(server.ServerInfo.Name + " " + server.ServerInfo.Version)
	}
	if !a.ExpiresAt.IsZero() {
		who.ExpiresAt = a.ExpiresAt.Unix()
	}
	if s.JSON {
		return s.printJSON(who)
	}
	rows := [][]string{{"Server", strings.TrimSpace(who.Server + "  " + who.Name)}, {"Protocol", "MCP " + who.Revision}}
	if who.Issuer == "" {
		s.table(append(rows, []string{"Token", "none was needed so far"}))
		return nil
	}
	until := "the server did not say"
	if !a.ExpiresAt.IsZero() {
		until = fmt.Sprintf("%s, in %s", a.ExpiresAt.Local().Format("15:04:05"), time.Until(a.ExpiresAt).Round(time.Second))
	}
	if a.Renewable {
		until += "; renewed by itself"
	}
	s.table(append(rows, []string{"Authorized by", who.Issuer}, []string{"Client", who.ClientID}, []string{"Good for", who.Resource},
		[]string{"Scope", strings.Join(who.Scope, " ")}, []string{"Until", until}))
	return nil
}
