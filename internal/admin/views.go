package admin

// place is one of the console's seven places.
type place struct {
	Path, Name string
	Here       bool
}

// frame is what every page has around its own.
type frame struct {
	Host    string
	Style   string // address of the console's own stylesheet
	Demo    bool
	Person  string // empty: nobody is signed in
	Auditor bool
	Fixes   bool // the person may change something
	Places  []place
}

var places = []place{
	{home, "Home", false}, {"/admin/agents", "Agents", false}, {"/admin/people", "People", false}, {"/admin/apis", "APIs & tools", false},
	{"/admin/keys", "Keys", false}, {"/admin/audit", "Audit", false}, {"/admin/settings", "Settings", false},
}

// frame returns what stands around a page of a place.
func (s *Server) frame(v visit, here string) frame {
	f := frame{Host: s.host, Style: stylePath(), Demo: s.Demo, Person: v.Name, Auditor: v.Name != "" && !v.Administers(), Fixes: v.Administers()}
	if v.Role == "" {
		f.Person = ""
		return f
	}
	for _, p := range places {
		p.Here = p.Path == here
		f.Places = append(f.Places, p)
	}
	return f
}

type problemView struct {
	frame
	Title, What, Next, Reference string
}

type noRoleView struct {
	frame
	Account string // empty: unknown by now
}
