package agent

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"gatehouse/internal/httpserver"
)

const (
	maxMessage = 8000 // bytes of what a person says at once
	maxTitle   = 80
)

func (s *Server) startChat(w http.ResponseWriter, r *http.Request, v visit) error {
	f, err := form(r)
	if err != nil {
		return err
	}
	srv, err := s.store.server(r.Context(), v.ID, f.Get("server"))
	if err != nil {
		return err
	}
	id, err := s.store.addChat(r.Context(), v.ID, srv.ID, "New chat")
	if err != nil {
		return err
	}
	http.Redirect(w, r, "/chats/"+id, http.StatusSeeOther)
	return nil
}

func titleOf(text string) string {
	return clip(strings.Join(strings.Fields(clip(text, 400)), " "), maxTitle)
}

// say takes what the person says and begins the turn that answers it.
func (s *Server) say(w http.ResponseWriter, r *http.Request, v visit) error {
	c, err := s.store.chat(r.Context(), v.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	f, err := form(r)
	if err != nil {
		return err
	}
	if err := s.answer(r, v, c, strings.TrimSpace(f.Get("text"))); err != nil {
		return err
	}
	http.Redirect(w, r, "/chats/"+c.ID+"#end", http.StatusSeeOther)
	return nil
}

// answer begins the turn that answers a message.
func (s *Server) answer(r *http.Request, v visit, c chat, text string) error {
	next := "Go back and try again."
	if text == "" || len(text) > maxMessage {
		return &problem{http.StatusBadRequest, "This message cannot be sent", fmt.Sprintf("It is empty, or has more than %d bytes.", maxMessage), next}
	}
	if ok, _ := s.limits.messages.Allow(v.ID); !ok {
		return &problem{http.StatusTooManyRequests, "Too many messages", "Your message was not sent.", "Wait a minute and try again."}
	}
	srv, err := s.store.server(r.Context(), v.ID, c.Server)
	if err != nil {
		return err
	}
	m, err := s.store.model(r.Context(), v.ID)
	if err != nil {
		return err
	}
	past, err := s.store.entries(r.Context(), c.ID)
	if err != nil {
		return err
	}
	number := 1
	if len(past) > 0 {
		number = past[len(past)-1].N + 1
	}
	said := entry{N: number, Kind: kindPerson, Text: strings.ToValidUTF8(text, "\uFFFD")}
	t := &turn{server: s, visit: v, chat: c, srv: srv, model: m, past: append(past, said)}
	// A browser that leaves now must not leave a message without its answer.
	ctx := context.WithoutCancel(r.Context())
	t.begun = func() error {
		if len(past) == 0 {
			if err := s.store.setTitle(ctx, c.ID, titleOf(text)); err != nil {
				return err
			}
		}
		return s.store.putEntry(ctx, c.ID, said)
	}
	switch err := s.beginTurn(t, number+1); {
	case errors.Is(err, errRunning):
		return &problem{http.StatusConflict, "The answer before is not finished", "Your message was not sent.", "Wait for it or stop it, then try again."}
	case errors.Is(err, errMany):
		return &problem{http.StatusTooManyRequests, "Too many chats go on at once", "Your message was not sent.", "Finish or stop another one, then try again."}
	default:
		return err
	}
}

func (s *Server) showChat(w http.ResponseWriter, r *http.Request, v visit) error {
	c, err := s.store.chat(r.Context(), v.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	srv, err := s.store.server(r.Context(), v.ID, c.Server)
	if err != nil {
		return err
	}
	m, err := s.store.model(r.Context(), v.ID)
	if err != nil {
		return err
	}
	// The turn is looked at before the store: what it adds meanwhile comes as an
	// event.
	l := s.live(c.ID)
	entries, err := s.store.entries(r.Context(), c.ID)
	if err != nil {
		return err
	}
	view := chatView{frame: s.frame(v), ID: c.ID, Title: c.Title, ServerID: srv.ID, ServerHost: hostOf(srv.URL), Planner: m.BaseURL == "", Model: m.Name, Script: staticPath("chat.js"), Running: l != nil}
	if m.BaseURL != "" {
		view.ModelHost = hostOf(m.BaseURL)
	}
	tools, err := s.store.tools(r.Context(), srv.ID)
	if err != nil {
		return err
	}
	for _, e := range entries {
		view.Entries = append(view.Entries, entryOf(c.ID, e, l, tools))
	}
	for _, t := range tools {
		if t.Mode != modeOff {
			view.Tools++
		}
	}
	return s.scripted.Render(w, http.StatusOK, "chat.html", view)
}

func (s *Server) removeChat(w http.ResponseWriter, r *http.Request, v visit) error {
	c, err := s.store.chat(r.Context(), v.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	s.endTurns(func(l *live) bool { return l.chat == c.ID })
	if err := s.store.removeChat(r.Context(), v.ID, c.ID); err != nil {
		return err
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
	return nil
}

func (s *Server) stopTurn(w http.ResponseWriter, r *http.Request, v visit) error {
	c, err := s.store.chat(r.Context(), v.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	s.endTurns(func(l *live) bool { return l.chat == c.ID })
	http.Redirect(w, r, "/chats/"+c.ID+"#end", http.StatusSeeOther)
	return nil
}

// decide takes the person's click on a card: the same turn goes on with it.
func (s *Server) decide(w http.ResponseWriter, r *http.Request, v visit) error {
	c, err := s.store.chat(r.Context(), v.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	f, err := form(r)
	if err != nil {
		return err
	}
	n, err := strconv.Atoi(f.Get("entry"))
	l := s.live(c.ID)
	late := &problem{http.StatusConflict, "This card waits for nothing", "It was decided already, or its turn is over.", "Go back to the chat."}
	if err != nil || l == nil {
		return late
	}
	if f.Get("action") == "go" {
		address, ok := l.leadsTo(n)
		if !ok {
			return late
		}
		http.Redirect(w, r, address, http.StatusSeeOther)
		return nil
	}
	if !l.click(n, f.Get("action")) {
		return late
	}
	http.Redirect(w, r, "/chats/"+c.ID+"#end", http.StatusSeeOther)
	return nil
}

// Limits of event streams.
const (
	maxStreams = 6                     // of one person
	streamTime = 10 * time.Minute      // then the browser comes again
	heartbeat  = 15 * time.Second      // shows that the browser is there
	breath     = 40 * time.Millisecond // between two events of one entry
	writeTime  = 2 * heartbeat         // until a browser that reads nothing is let go
)

// events tells a page what changes in the turn that goes on. The entries come
// as the page would show them, whole, so that nothing can be missed.
func (s *Server) events(w http.ResponseWriter, r *http.Request, v visit) error {
	c, err := s.store.chat(r.Context(), v.ID, r.PathValue("id"))
	if err != nil {
		return err
	}
	tools, err := s.store.tools(r.Context(), c.Server)
	if err != nil {
		return err
	}
	if !s.enterStream(v.ID) {
		return &problem{http.StatusTooManyRequests, "Too many pages are open", "This one does not change by itself.", "Close others and load it again."}
	}
	defer s.leaveStream(v.ID)
	httpserver.Quiet(r.Context())
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	st := &stream{w: w, control: http.NewResponseController(w), render: func(e entry, l *live) (string, error) {
		return s.pages.Piece("chat.html", "entry", entryOf(c.ID, e, l, tools))
	}}
	// A stream outlives the limits that hold for other requests.
	if err := st.control.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	if l := s.live(c.ID); l != nil {
		err = st.follow(r, s.running.Done(), l)
	} else {
		err = s.last(r, st, c)
	}
	if err != nil { // the stream is begun: there is no page to show instead
		httpserver.Note(r.Context(), "stream", err)
	}
	return nil
}

// last shows the last turn, which ended before the page could follow it.
func (s *Server) last(r *http.Request, st *stream, c chat) error {
	entries, err := s.store.entries(r.Context(), c.ID)
	if err != nil {
		return err
	}
	begin := 0
	for i, e := range entries {
		if e.Kind == kindPerson {
			begin = i
		}
	}
	for _, e := range entries[begin:] {
		if err := st.entry(e, nil); err != nil {
			return err
		}
	}
	return st.send("over", "")
}

func (s *Server) enterStream(account string) bool {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	if s.shared.streams[account] >= maxStreams {
		return false
	}
	s.shared.streams[account]++
	return true
}

func (s *Server) leaveStream(account string) {
	s.shared.mu.Lock()
	defer s.shared.mu.Unlock()
	if s.shared.streams[account]--; s.shared.streams[account] == 0 {
		delete(s.shared.streams, account)
	}
}

type stream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	render  func(entry, *live) (string, error)
}

func (st *stream) send(event, data string) error {
	if err := st.control.SetWriteDeadline(time.Now().Add(writeTime)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(st.w, "event: %s\ndata: %s\n\n", event, data); err != nil {
		return err
	}
	return st.control.Flush()
}

func (st *stream) entry(e entry, l *live) error {
	html, err := st.render(e, l)
	if err != nil {
		return err
	}
	data, err := json.Marshal(map[string]any{"id": fmt.Sprintf("entry-%d", e.N), "html": html})
	if err != nil {
		return err
	}
	return st.send("entry", string(data))
}

func (st *stream) follow(r *http.Request, closing <-chan struct{}, l *live) error {
	end, beat := time.NewTimer(streamTime), time.NewTicker(heartbeat)
	defer end.Stop()
	defer beat.Stop()
	for version := 0; ; {
		_, _, over := l.asks() // before: what it says last is not missed
		entries, now, changed := l.since(version)
		version = now
		for _, e := range entries {
			if err := st.entry(e, l); err != nil {
				return err
			}
		}
		if over {
			return st.send("over", "")
		}
		select {
		case <-changed:
			time.Sleep(breath)
		case <-beat.C:
			if err := st.send("beat", ""); err != nil {
				return err
			}
		case <-end.C:
			return nil
		case <-closing:
			return nil
		case <-r.Context().Done():
			return nil
		}
	}
}
