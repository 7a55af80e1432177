package scale_test

// agentPages are those of agents: a tenth of all registrations are one agent.
func agentPages() []page {
	at := func(path string) func(*world) string { return func(*world) string { return path } }
	return []page{
		{"agents", at("/admin/agents")},
		{"agents, registered", at("/admin/agents?only=registered")},
		{"agents, described", at("/admin/agents?only=document")},
		{"agents, paused", at("/admin/agents?only=paused")},
		{"agents, by name", at("/admin/agents?q=scout")},
		{"agents, by a common name", at("/admin/agents?q=agent")},
		{"agents, by a name of nobody", at("/admin/agents?q=zzz")},
		{"agents, by client ID", at("/admin/agents?q=client7")},
		{"agents, by host", at("/admin/agents?q=localhost")},
		{"an agent", at("/admin/agents/client7")},
		{"an agent of many registrations", at("/admin/agents/client10")},
		{"stop of an agent", at("/admin/stop/client/client7")},
	}
}

// otherPages are the remaining ones that read what grows.
func otherPages() []page {
	at := func(path string) func(*world) string { return func(*world) string { return path } }
	return []page{
		{"home", at("/admin")},
		{"people", at("/admin/people")},
		{"people, by name", at("/admin/people?q=person77")},
		{"people, paused", at("/admin/people?only=paused")},
		{"a person", at("/admin/people/account7")},
		{"stop of an API", at("/admin/stop/api/customers")},
		{"stop of everything", at("/admin/stop/everything")},
	}
}
