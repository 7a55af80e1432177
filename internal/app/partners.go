package app

import (
	"fmt"
	"maps"
	"net/url"
	"slices"

	"gatehouse/internal/authserver"
	"gatehouse/internal/oauth"
)

// Partner is another authorization server to which this one speaks for people
// who signed in here (ID-JAG), so that their agents need not ask them there. See
// workloads.md.
type Partner struct {
	// Issuer is its issuer identifier, exactly. Required.
	Issuer string `yaml:"issuer"`
	// Clients are the agents that may take people there: the ID of a client here,
	// and what that is called there. Required.
	Clients map[string]string `yaml:"clients"`
	// Resources are the MCP servers there, by their addresses. Required.
	Resources []string `yaml:"resources"`
	// Scopes are the most that is asked for there. Required.
	Scopes []string `yaml:"scopes"`
}

func (c *Config) validatePartners(report reporter) {
	for i, p := range c.Partners {
		at := func(field string) string { return fmt.Sprintf("partners[%d].%s", i, field) }
		u, err := url.Parse(p.Issuer)
		switch {
		case c.AuthorizationServer != nil:
			report(fmt.Sprintf("partners[%d]", i), "is for this installation's own authorization server")
		case err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
			report(at("issuer"), "%s is no issuer identifier such as https://login.example.org", shown(p.Issuer))
		case p.Issuer == c.URLs.AuthServer:
			report(at("issuer"), "is this installation itself")
		}
		if len(p.Clients) == 0 || slices.Contains(slices.Collect(maps.Values(p.Clients)), "") {
			report(at("clients"), "must name clients here, each with what it is called there")
		}
		if len(p.Resources) == 0 {
			report(at("resources"), "is missing; name the MCP servers there")
		}
		for _, r := range p.Resources {
			if _, err := oauth.CanonicalResource(r); err != nil {
				report(at("resources"), "%s: %v", shown(r), err)
			}
		}
		if len(p.Scopes) == 0 {
			report(at("scopes"), "is missing; name what may be asked for there")
		}
		for _, name := range p.Scopes {
			if !oauth.ValidScopeToken(name) {
				report(at("scopes"), "%q is no scope token", name)
			}
		}
	}
}

func (c *Config) partners() (list []authserver.Partner) {
	for _, p := range c.Partners {
		partner := authserver.Partner{Issuer: p.Issuer, Clients: p.Clients, Scopes: p.Scopes}
		for _, r := range p.Resources {
			if canonical, err := oauth.CanonicalResource(r); err == nil { // Validate has parsed it
				partner.Resources = append(partner.Resources, canonical)
			}
		}
		list = append(list, partner)
	}
	return list
}
