package scale_test

import (
	"fmt"
	"net/url"
	"time"
)

// auditPages are the audit and the search.
func auditPages() []page {
	fixed := func(path string) func(*world) string { return func(*world) string { return path } }
	at := func(part float64) func(w *world) string { // of all time, as the form writes it
		return func(w *world) string {
			when := time.UnixMilli(began + int64(part*float64(w.entries))*50).UTC()
			return when.Format("2006-01-02T15:04:05")
		}
	}
	list := func(name, query string) page { return page{"audit " + name, fixed("/admin/audit?" + query)} }
	entry := func(name string, number func(w *world) int) page {
		return page{"entry " + name, func(w *world) string { return fmt.Sprintf("/admin/audit/entry%08d", number(w)) }}
	}
	search := func(name, query string) page {
		return page{"search " + name, fixed("/admin/search?q=" + url.QueryEscape(query))}
	}
	return []page{
		list("all", ""),
		{"audit half way", func(w *world) string {
			return fmt.Sprintf("/admin/audit?before=%d-%d", began+int64(w.entries)*25, w.entries/2)
		}},
		list("person", "person=person1"), list("person of few", "person=person7"), list("nobody", "person=nobody"),
		list("agent", "agent=client1"), list("agents by name", "agent=Scout"), list("connection", "grant=grant1"),
		list("API", "api=customers"), list("rare API", "api=rare"), list("tool", "tool=tool7"), list("rare tool", "tool=rare"),
		list("calls", "kind=call"), list("consents", "kind=consent"), list("acts", "kind=admin"),
		list("denied", "outcome=denied"), list("not ended", "outcome=started"), list("request", "request=request77"), list("no request", "request=none"),
		list("person, tool", "person=person1&tool=tool7"), list("person, rare tool", "person=person1&tool=rare"), list("agent, denied", "agent=client1&outcome=denied"),
		list("person, consents", "person=person1&kind=consent"), list("connection, exchanges", "grant=grant1&kind=exchange"),
		list("agents, rare API", "agent=Scout&api=rare"), list("denied, rare tool", "outcome=denied&tool=rare"), list("person, other agent", "person=person1&agent=client7"),
		{"audit from then", func(w *world) string { return "/admin/audit?from=" + at(0.5)(w) }},
		{"audit to then", func(w *world) string { return "/admin/audit?to=" + at(0.5)(w) }},
		{"audit rare, then", func(w *world) string { return "/admin/audit?tool=rare&from=" + at(0.2)(w) + "&to=" + at(0.9)(w) }},
		entry("newest call", func(w *world) int { return w.entries - 1 }), entry("of the busiest", func(w *world) int { return w.entries/20*10 + 3 }),
		entry("oldest call", func(*world) int { return 4 }), entry("exchange", func(w *world) int { return w.entries - 10 }),
		search("agents", "agent 99"), search("agent", "client77"), search("people", "person"), search("tool", "fetch"), search("request", "request77"),
		search("connection", "grant5"), search("nothing", "zzz"),
	}
}
