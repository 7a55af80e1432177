package agent

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"gatehouse/mcpclient"
)

// Limits of what a server says about a tool, in bytes.
const (
	maxToolName    = 128
	maxToolTitle   = 200
	maxToolText    = 2000
	maxToolSchema  = 16 << 10
	maxServerURL   = 500
	maxShownScopes = 20
)

// home is a person's start page.
func (s *Server) home(w http.ResponseWriter, r *http.Request, v visit, status int, address, problem string) error {
	servers, err := s.store.servers(r.Context(), v.ID)
	if err != nil {
		return err
	}
	chats, err := s.store.chats(r.Context(), v.ID)
	if err != nil {
		return err
	}
	view := homeView{frame: s.frame(v), Address: address, Problem: problem}
	hosts := map[string]string{}
	for _, srv := range servers {
		hosts[srv.ID] = hostOf(srv.URL)
		view.Servers = append(view.Servers, serverLine{ID: srv.ID, Host: hostOf(srv.URL), URL: srv.URL, Connected: srv.Connected, Listed: srv.ListedAt > 0})
	}
	for _, c := range chats {
		view.Chats = append(view.Chats, chatLine{ID: c.ID, Title: c.Title, Host: hosts[c.Server]})
	}
	if len(servers) == 0 && address == "" {
		view.Address = s.Suggest
	}
	return s.pages.Render(w, status, "home.html", view)
}

func hostOf(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return u.Host
}

// addServer keeps an address; nothing is sent to it before the person connects.
func (s *Server) addServer(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	address := strings.TrimSpace(f.Get("url"))
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.Fragment != "" || len(address) > maxServerURL {
		return s.home(w, r, v, http.StatusBadRequest, clip(address, maxServerURL), "An address is like https://mcp.example.com: https, a host, maybe a path.")
	}
	if ok, _ := s.limits.connects.Allow(v.ID); !ok {
		return s.home(w, r, v, http.StatusTooManyRequests, address, slowDown)
	}
	u.Scheme, u.Host = strings.ToLower(u.Scheme), strings.ToLower(u.Host)
	id, err := s.store.addServer(r.Context(), v.ID, u.String())
	switch {
	case errors.Is(err, errTaken):
		return s.home(w, r, v, http.StatusConflict, address, "This server is in your list already.")
	case err != nil:
		return err
	}
	http.Redirect(w, r, "/servers/"+id, http.StatusSeeOther)
	return nil
}

func (s *Server) showServer(w http.ResponseWriter, r *http.Request, v visit) error {
	srv, err := s.store.server(r.Context(), v.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	return s.serverPage(w, r, v, srv, http.StatusOK, "")
}

func (s *Server) serverPage(w http.ResponseWriter, r *http.Request, v visit, srv server, status int, problem string) error {
	tools, err := s.store.tools(r.Context(), srv.ID)
	if err != nil {
		return err
	}
	view := serverView{frame: s.frame(v), ID: srv.ID, URL: srv.URL, ServerHost: hostOf(srv.URL), Connected: srv.Connected, Listed: srv.ListedAt > 0, Problem: problem}
	for _, t := range tools {
		line := toolView(t)
		if t.Reads {
			view.Reading = append(view.Reading, line)
		} else {
			view.Changing = append(view.Changing, line)
		}
		view.On = view.On || t.Mode != modeOff
	}
	return s.pages.Render(w, status, "server.html", view)
}

// switchTools keeps what the person allows.
func (s *Server) switchTools(w http.ResponseWriter, r *http.Request, v visit) error {
	srv, err := s.store.server(r.Context(), v.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	f, err := form(r)
	if err != nil {
		return err
	}
	tools, err := s.store.tools(r.Context(), srv.ID)
	if err != nil {
		return err
	}
	modes := map[string]string{}
	for _, t := range tools {
		// The fingerprint is of what the page showed: a tool that was described
		// anew meanwhile is not switched on unseen.
		mode := f.Get("mode " + t.Name)
		if (mode == modeOff || mode == modeAsk || mode == modeFree) && f.Get("seen "+t.Name) == seen(t) {
			modes[t.Name] = mode
		}
	}
	if err := s.store.setModes(r.Context(), srv.ID, modes); err != nil {
		return err
	}
	http.Redirect(w, r, "/servers/"+srv.ID+"#tools", http.StatusSeeOther)
	return nil
}

// removeServer ends the tokens for a server and forgets it with its chats.
func (s *Server) removeServer(w http.ResponseWriter, r *http.Request, v visit) error {
	srv, err := s.store.server(r.Context(), v.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	s.endTurns(func(l *live) bool { return l.server == srv.ID })
	if err := s.endTokens(r.Context(), v.ID, []server{srv}); err != nil {
		return err
	}
	if err := s.store.removeServer(r.Context(), v.ID, srv.ID); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

// list reads the tools that a server offers now.
func (s *Server) list(ctx context.Context, session *mcpclient.Session, srv server) error {
	listed, err := session.Tools(ctx)
	if err != nil {
		return err
	}
	var tools []tool
	known := map[string]bool{}
	for _, l := range listed {
		schema, err := json.Marshal(l.InputSchema)
		if l.Name == "" || len(l.Name) > maxToolName || known[l.Name] || err != nil || len(schema) > maxToolSchema || len(tools) == maxTools {
			continue // what could not be shown whole cannot be allowed either
		}
		known[l.Name] = true
		t := tool{Name: l.Name, Title: clip(l.Title, maxToolTitle), Description: clip(l.Description, maxToolText), Parameters: schema}
		if a := l.Annotations; a != nil {
			t.Reads = a.ReadOnlyHint
			if t.Title == "" {
				t.Title = clip(a.Title, maxToolTitle)
			}
		}
		tools = append(tools, t)
	}
	return s.store.putTools(ctx, srv.ID, tools)
}
