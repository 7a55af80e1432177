package httpserver

import (
	"encoding/json"
	"maps"
	"net/http"
)

// Problem is an error answer of a JSON API, RFC 9457 §3.1.
type Problem struct {
	Type     string // a URI that names the kind of problem; "about:blank" when empty
	Title    string // the kind in a few words; the status text when empty
	Status   int    // the HTTP status; 500 when zero
	Detail   string // what happened to this request and what to do, for people
	Instance string // a URI of this occurrence
	// Extra holds extension members. It cannot override the members above.
	Extra map[string]any
}

// WriteProblem answers with p as application/problem+json.
func WriteProblem(w http.ResponseWriter, p Problem) {
	if p.Status == 0 {
		p.Status = http.StatusInternalServerError
	}
	members := maps.Clone(p.Extra)
	if members == nil {
		members = map[string]any{}
	}
	for name, value := range map[string]string{"type": p.Type, "title": p.Title, "detail": p.Detail, "instance": p.Instance} {
		delete(members, name)
		if value != "" {
			members[name] = value
		}
	}
	if p.Type == "" {
		members["type"] = "about:blank"
	}
	if p.Title == "" {
		members["title"] = http.StatusText(p.Status)
	}
	members["status"] = p.Status
	body, err := json.Marshal(members)
	if err != nil { // an extension that JSON cannot say
		p.Extra = nil
		WriteProblem(w, p)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/problem+json")
	h.Set("Cache-Control", "no-store")
	w.WriteHeader(p.Status)
	_, _ = w.Write(append(body, '\n')) // a client that left needs no answer
}
