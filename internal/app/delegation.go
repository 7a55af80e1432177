package app

import (
	"fmt"
	"slices"

	"gatehouse/internal/grant"
	"gatehouse/internal/oauth"
)

// Delegation lets an agent act on with what another agent was given, for the
// same person or workload and never with more. What is not here is refused. See
// workloads.md.
type Delegation struct {
	// Actor is the ID of the agent that acts; an administrator must have added it.
	// Required.
	Actor string `yaml:"actor"`
	// For are the IDs of the agents from which it may take over. Required, unless
	// people may.
	For []string `yaml:"for"`
	// People says whether people may let it act for them with nobody there: on their
	// own page, for what they choose and until when.
	People bool `yaml:"people"`
	// APIs are the names of those where it may. Required.
	APIs []string `yaml:"apis"`
	// Scopes are the most that it gets. Default: what the token has that it takes
	// over.
	Scopes []string `yaml:"scopes"`
}

func (c *Config) validateDelegation(report reporter) {
	for i, d := range c.Delegation {
		at := func(field string) string { return fmt.Sprintf("delegation[%d].%s", i, field) }
		if c.AuthorizationServer != nil {
			report(fmt.Sprintf("delegation[%d]", i), "is for this installation's own authorization server")
		}
		if d.Actor == "" {
			report(at("actor"), "is missing; name the ID of a client")
		}
		if len(d.For) == 0 && !d.People || slices.Contains(d.For, "") || slices.Contains(d.For, "*") {
			report(at("for"), "must name the clients by their IDs; there is no way to say all")
		}
		if slices.Contains(d.For, d.Actor) {
			report(at("for"), "names the actor itself")
		}
		if len(d.APIs) == 0 {
			report(at("apis"), "is missing; name the APIs")
		}
		for _, name := range d.APIs {
			if !slices.ContainsFunc(c.APIs, func(a API) bool { return a.Name == name && !a.administration }) {
				report(at("apis"), "%q is none of apis", name)
			}
		}
		for _, name := range d.Scopes {
			if !oauth.ValidScopeToken(name) {
				report(at("scopes"), "%q is no scope token", name)
			}
		}
	}
}

// delegation is who may act for whom, at resources.
func (c *Config) delegation() ([]grant.Delegation, error) {
	var rules []grant.Delegation
	for _, d := range c.Delegation {
		rule := grant.Delegation{Actor: d.Actor, For: d.For, People: d.People, Scopes: d.Scopes}
		for _, a := range c.APIs {
			if !slices.Contains(d.APIs, a.Name) {
				continue
			}
			at, err := c.resource(a)
			if err != nil {
				return nil, err
			}
			rule.Resources = append(rule.Resources, at)
		}
		rules = append(rules, rule)
	}
	return rules, nil
}
