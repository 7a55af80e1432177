package authserver

import (
	"context"
	"net/http"

	"gatehouse/internal/account"
	"gatehouse/internal/catalog"
	"gatehouse/internal/client"
	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

// checkAdministration refuses scopes of the administration to agents that no
// administrator has added (security.md 21): what an agent says of itself, or the
// address that it has, is not enough for them. At its own address there is no
// agent between, and what no agent may do can be done: that is for the terminal.
func (s *Server) checkAdministration(api *catalog.API, c client.Client) error {
	if (s.Console != nil && api == s.Console) != (c.ID == client.TerminalID) {
		return oauth.NewError(oauth.UnauthorizedClient, "the administration at its own address is for people at a terminal, and the terminal for that alone; agents find it at its MCP endpoint")
	}
	if api.Administration && !c.Vouched() {
		return oauth.NewError(oauth.UnauthorizedClient, "administration is for agents that an administrator has added; ask one to add this agent")
	}
	return nil
}

// mayAdminister refuses the administration to people without a role, before
// they could agree to anything. The API looks again at each call.
func (s *Server) mayAdminister(ctx context.Context, req grant.Request) error {
	api, ok := s.resourceOf(req.Resource)
	if !ok || !api.Administration {
		return nil
	}
	acc, err := s.Accounts.Account(ctx, req.AccountID)
	if err != nil {
		return err
	}
	if acc.Role == account.NoRole {
		return &pageError{Status: http.StatusForbidden, View: ErrorView{
			Title: "You have no role in the administration",
			What:  "This agent wants to administer the installation as you, and your account does not. Nothing was allowed.",
			Next:  "Ask an administrator for a role, or close this page and start again as somebody else.",
		}}
	}
	return nil
}
